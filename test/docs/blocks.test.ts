import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { filesBelow, readSource } from "../harness/source.js";
import { type Block, blocksOf } from "./blocks.js";
import { commandsOf, problemOf } from "./commands.js";
import { pages } from "./pages.js";
import { typeErrors } from "./typeCheck.js";

const all = pages.flatMap((page) => blocksOf(page, readSource(page)));
const where = ({ page, line }: Block): string => `${page}:${line}`;
// Blocks that an empty folder is filled with are run by gettingStarted.test.ts.
const isCopied = ({ notes }: Block): boolean => "run" in notes || "write" in notes;

/** What kind of check a block gets; undefined for a language that nothing looks at. */
function kindOf(block: Block): string | undefined {
  const { language, notes, text } = block;
  if ("unchecked" in notes) return "unchecked";
  if (isCopied(block)) return language === "sh" ? "shell" : "copied";
  if ("file" in notes || "excerpt" in notes) return "quoted";
  if (language === "indented") return /^\{/.test(text) ? "json" : /^(pass|fail) /.test(text) ? "text" : "shell";
  const kinds: Readonly<Record<string, string>> = {
    ts: "types",
    js: "types",
    sh: "shell",
    json: "json",
    jsonl: "json",
  };
  if (language === "") return "text";
  if (language === "yaml" || language === "text") return language;
  return kinds[language];
}

const blocks = (kind: string): Block[] => all.filter((block) => kindOf(block) === kind);

describe("blocks of code in the documentation", () => {
  it("are all of a kind that something checks", () => {
    expect(
      all.filter((block) => kindOf(block) === undefined).map((block) => `${where(block)} ${block.language}`),
    ).toEqual([]);
  });

  it("say why, the few that nothing checks", () => {
    const left = blocks("unchecked");
    expect(left.filter(({ notes }) => (notes["unchecked"] ?? "").length < 10).map(where)).toEqual([]);
    expect(left.length).toBeLessThanOrEqual(3);
  });

  it("in TypeScript fit the library", { timeout: 120_000 }, () => {
    const examples = filesBelow("docs/examples", ".ts");
    const modules = examples.map((page) => ({ page, line: 1, language: "module", text: readSource(page), notes: {} }));
    expect(modules.length).toBeGreaterThan(0);
    expect(typeErrors([...blocks("types"), ...modules])).toEqual([]);
  });

  it("in shell name scripts, commands and options that exist", () => {
    const problems = blocks("shell").flatMap((block) =>
      commandsOf(block.text).flatMap((words) => {
        const problem = problemOf(words);
        return problem ? [`${where(block)}: ${problem}`] : [];
      }),
    );
    expect(problems).toEqual([]);
  });

  it("in JSON are JSON", () => {
    for (const block of blocks("json")) {
      const texts = block.language === "jsonl" ? block.text.split("\n").filter(Boolean) : [block.text];
      for (const text of texts) expect(() => JSON.parse(text), where(block)).not.toThrow();
    }
  });

  it("in YAML are YAML", () => {
    for (const block of blocks("yaml")) {
      for (const document of parseAllDocuments(block.text)) expect(document.errors, where(block)).toEqual([]);
    }
  });

  it("that quote a file are in it, word for word", () => {
    for (const block of blocks("quoted")) {
      const { file, excerpt } = block.notes;
      if (file) expect(`${block.text.trimEnd()}\n`, where(block)).toBe(readSource(file));
      else expect(readSource(excerpt!), where(block)).toContain(block.text);
    }
  });
});

describe("the checks themselves", () => {
  const block = (language: string, text: string): Block => ({ page: "page.md", line: 10, language, text, notes: {} });

  it("find blocks, where they begin, and what is said of them", () => {
    const markdown = "a\n\n<!-- file: x.ts -->\n```ts\none\n\ntwo\n```\n\n    webldm serve\n    webldm --help\n\nb\n";
    expect(blocksOf("page.md", markdown)).toEqual([
      { page: "page.md", line: 5, language: "ts", text: "one\n\ntwo", notes: { file: "x.ts" } },
      { page: "page.md", line: 10, language: "indented", text: "webldm serve\nwebldm --help\n", notes: {} },
    ]);
  });

  it("see types that do not fit, on their line", { timeout: 120_000 }, () => {
    const text = 'import { createEngine } from "webldm";\nconst engine = await createEngine();\nengine.lod("/model/");';
    expect(typeErrors([block("ts", text)])).toEqual([expect.stringMatching(/^page.md:12: .*'lod'/)]);
  });

  it.each([
    ["npm run nothing", "no script nothing"],
    ["npm run generate -- a --nothing", "no option --nothing"],
    ["npx webldm inspect", "takes 1 to 1 arguments, got none"],
    ["webldm conformance a --dtype f12", "--dtype is never f12"],
    ["WEBLDM_ADAPTER=x webldm paint", "no such command"],
    ["npm ci && npm run nothing", "no script nothing"],
    ["npm run bench:node -- --walk 3", "no option --walk"],
    ["webdlm --help", "no command"],
  ])("see what is wrong with %s", (text, problem) => {
    expect(commandsOf(text).map(problemOf).filter(Boolean).join()).toContain(problem);
  });

  it("read quotes and comments", () => {
    expect(commandsOf('webldm generate "a b" \\\n  --seed 1 # why\nnpm ci && npm start')).toEqual([
      ["webldm", "generate", "a b", "--seed", "1"],
      ["npm", "ci"],
      ["npm", "start"],
    ]);
  });
});
