import { join } from "node:path";
import ts from "typescript";
import { root } from "../harness/source.js";
import type { Block } from "./blocks.js";

/** What pages speak of without saying where it comes from, with its type. */
const given: Readonly<Record<string, string>> = {
  canvas: '{ getContext(kind: "2d"): CanvasRenderingContext2D } & HTMLCanvasElement',
  channelBias: 'import("webldm/core").Tensor',
  classes: "Uint8Array",
  clipEmbedding: "Float32Array",
  device: 'import("webldm/core").Device',
  embedWatermark: "(pixels: Uint8ClampedArray, width: number, height: number) => void",
  engine: 'import("webldm").Engine',
  eps: "number",
  graph: 'import("webldm/core").Graph',
  groups: "number",
  height: "number",
  image: 'import("webldm").ImageInput',
  isAllowed: "(prompt: string | undefined) => Promise<boolean>",
  isUnwanted: '(picture: import("webldm").Picture) => Promise<boolean>',
  latents: "Float32Array<ArrayBuffer>",
  mask: 'import("webldm").PixelImage',
  model: 'import("webldm").LatentDiffusion',
  negativePrompt: "string",
  neighbours: "Float32Array[]",
  out: "number",
  plan: 'import("webldm/core").Plan',
  prompt: "string",
  values: "Float32Array<ArrayBuffer>",
  w: 'import("webldm/core").Scope',
  width: "number",
  x: 'import("webldm/core").Tensor',
};

const entries = {
  webldm: join(root, "src/index.ts"),
  "webldm/worker": join(root, "src/worker.ts"),
  "webldm/core": join(root, "src/core.ts"),
} as const;
const ambient = join(root, "test/docs/ambient.d.ts");

function options(): ts.CompilerOptions {
  const read = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options: own } = ts.parseJsonConfigFileContent({ ...read.config, files: [], include: [] }, ts.sys, root);
  const paths = Object.fromEntries(Object.entries(entries).map(([name, path]) => [name, [path]]));
  return {
    ...own,
    paths,
    verbatimModuleSyntax: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
    allowJs: true,
    checkJs: false,
  };
}

/** Names that a module exports. */
function exportsOf(program: ts.Program, path: string): string[] {
  const checker = program.getTypeChecker();
  const symbol = checker.getSymbolAtLocation(program.getSourceFile(path)!);
  return symbol ? checker.getExportsOfModule(symbol).map(({ name }) => name) : [];
}

/** Names that stand by themselves in a text: not as a field, nor in a string. */
function used(text: string): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("block.ts", text, ts.ScriptTarget.ES2022, true));
  return names;
}

/** A block as a module: its imports first, what it takes for granted, and the rest inside of a function. */
function moduleOf(block: Block, exported: ReadonlyMap<string, string>): string {
  const source = ts.createSourceFile("block.ts", block.text, ts.ScriptTarget.ES2022, true);
  const imports = source.statements.filter(ts.isImportDeclaration).map((statement) => statement.getText());
  const own = new Set(
    source.statements.filter(ts.isImportDeclaration).flatMap(({ importClause }) => {
      const bindings = importClause?.namedBindings;
      const named = bindings && ts.isNamedImports(bindings) ? bindings.elements.map(({ name }) => name.text) : [];
      return [...named, ...(importClause?.name ? [importClause.name.text] : [])];
    }),
  );
  let body = block.text;
  for (const statement of imports) body = body.replace(statement, statement.replace(/[^\n]+/g, ""));
  const granted: string[] = [];
  for (const name of used(body)) {
    if (own.has(name)) continue;
    if (exported.has(name)) granted.push(`import { ${name} } from ${JSON.stringify(exported.get(name))};`);
    else if (name in given) granted.push(`declare const ${name}: ${given[name]};`);
  }
  // One line in front, so that lines of messages are those of the page.
  return `${[...imports.map((text) => text.replaceAll("\n", " ")), ...granted].join(" ")} export async function block() {\n${body}\n}\n`;
}

const asModule = (block: Block, exported: ReadonlyMap<string, string>): string =>
  block.language === "module" ? `\n${block.text}` : moduleOf(block, exported);

/** Blocks as modules that export a function `block`; what they speak of without saying where it comes from is global. */
export function modulesOf(blocks: readonly Block[]): string[] {
  const program = ts.createProgram([...Object.values(entries), join(root, "src/wgsl.d.ts")], options());
  const exported = exportsBy(program);
  return blocks.map((block) => moduleOf(block, exported));
}

/** Which entry exports a name. */
function exportsBy(program: ts.Program): Map<string, string> {
  const exported = new Map<string, string>();
  for (const [name, path] of Object.entries(entries).reverse()) {
    for (const symbol of exportsOf(program, path)) exported.set(symbol, name);
  }
  return exported;
}

/** What the compiler says of blocks in TypeScript, or of whole modules, against the library as it is now. */
export function typeErrors(blocks: readonly Block[]): string[] {
  const settings = options();
  const host = ts.createCompilerHost(settings);
  const library = ts.createProgram([...Object.values(entries), ambient, join(root, "src/wgsl.d.ts")], settings, host);
  const exported = exportsBy(library);
  const files = new Map(
    blocks.map((block, i) => [join(root, "test/docs", `block${i}.ts`), { block, text: asModule(block, exported) }]),
  );
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.getSourceFile = (path, ...rest) => {
    const file = files.get(path);
    return file ? ts.createSourceFile(path, file.text, ts.ScriptTarget.ES2022, true) : getSourceFile(path, ...rest);
  };
  const program = ts.createProgram([...library.getRootFileNames(), ...files.keys()], settings, host, library);
  return [...files].flatMap(([path, { block }]) => {
    const source = program.getSourceFile(path)!;
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ start = 0, messageText }) => {
      const line = block.line + source.getLineAndCharacterOfPosition(start).line - 1;
      return `${block.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
    });
  });
}
