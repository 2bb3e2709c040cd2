import { posix } from "node:path";

/** Source text by path, `src/ops/conv.ts` for example. */
export type Sources = Readonly<Record<string, string>>;

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

const all = [
  ...["core", "graph", "gpu", "sampling", "text", "weights", "ops", "models", "plan", "tuning", "pictures", "pipeline"],
];

/** What each folder of src may import; shader text counts as `shaders`, and `folder:type` allows types only. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  core: [],
  graph: ["core"],
  gpu: ["core", "shaders"],
  sampling: ["core"],
  text: ["core"],
  weights: ["core"],
  pictures: ["core"],
  ops: ["graph", "core", "shaders"],
  models: ["ops", "graph", "core", "weights:type"],
  plan: ["graph", "gpu", "core"],
  tuning: ["ops", "plan", "gpu", "graph", "weights", "core"],
  pipeline: ["pictures", "models", "sampling", "text", "weights", "tuning", "plan", "gpu", "graph", "ops", "core"],
  cli: ["index", "pictures", "pipeline", "weights", "text", "gpu", "core", "sampling"],
  studio: ["index", "worker"],
  worker: ["worker-entry", "index", "pipeline", "core", "weights:type"],
  "worker-entry": ["worker", "index", "pipeline"],
  index: [...all, "worker"],
  "core.ts": all,
};

/** Files that reach further than their folder. */
const wider: Readonly<Record<string, readonly string[]>> = {
  "src/cli/conformance": ["ops", "models", "plan", "graph"],
};

/** One line for each import that points up, reaches a file that is not there, or closes a cycle. */
export function layerFaults(sources: Sources): string[] {
  const faults: string[] = [];
  for (const [path, text] of Object.entries(sources)) {
    for (const { target: named, typeOnly } of importsOf(path, text)) {
      const target = resolved(sources, named);
      if (target.startsWith("src/") && !(target in sources)) {
        faults.push(`${path} imports ${target}, which does not exist`);
        continue;
      }
      const from = layerOf(path);
      const to = layerOf(target);
      if (from === to) continue;
      const names = allowed[from];
      if (!names) faults.push(`${path}: the layer ${from} is not known`);
      else if (!allows([...names, ...widerOf(path)], to, typeOnly))
        faults.push(`${path} imports ${target}: ${from} may not import ${to}`);
    }
  }
  return [...faults, ...cycles(sources)];
}

/** A script's name stands for a component's too. */
const resolved = (sources: Sources, target: string): string => (`${target}x` in sources ? `${target}x` : target);

const allows = (names: readonly string[], to: string, typeOnly: boolean): boolean =>
  names.includes(to) || (typeOnly && names.includes(`${to}:type`));

const widerOf = (path: string): readonly string[] =>
  Object.entries(wider).find(([start]) => path.startsWith(start))?.[1] ?? [];

/** `src/ops/conv.ts` is in ops, `src/index.ts` is index; `src/core.ts` is not in core. */
function layerOf(path: string): string {
  const [top = "", folder = ""] = path.split("/");
  if (top !== "src") return top;
  if (path === "src/core.ts") return "core.ts";
  return folder.replace(/\.ts$/, "");
}

/** Relative imports and exports of a module, as paths of sources. */
export function importsOf(path: string, text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  const statement = /(?:^|[;}\n])\s*(?:import|export)\s+(type\s+)?(?:([\w*{}\s,$]*?)\s*from\s*)?["']([^"']+)["']/g;
  for (const [, type, names, target] of code.matchAll(statement)) {
    const named = /^\{([^}]*)\}$/
      .exec((names ?? "").trim())?.[1]
      ?.split(",")
      .map((name) => name.trim())
      .filter(Boolean);
    const typeOnly = Boolean(type) || Boolean(named?.length && named.every((name) => name.startsWith("type ")));
    found.push({ target: target!, typeOnly });
  }
  for (const [, target] of code.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g))
    found.push({ target: target!, typeOnly: false });
  for (const [, target] of code.matchAll(/new URL\(\s*["'](\.[^"']+\.js)["']\s*,\s*import\.meta\.url/g)) {
    found.push({ target: target!, typeOnly: false });
  }
  return found
    .filter(({ target }) => target.startsWith("."))
    .map((entry) => ({ ...entry, target: posix.join(posix.dirname(path), entry.target).replace(/\.js$/, ".ts") }));
}

/** Comments become blanks, strings stay. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_all, string: string | undefined) => string ?? " ",
  );
}

/** Each cycle of imports once, types included. */
function cycles(sources: Sources): string[] {
  const found = new Set<string>();
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (path: string): void => {
    state.set(path, "open");
    trail.push(path);
    for (const { target: named } of importsOf(path, sources[path] ?? "")) {
      const target = resolved(sources, named);
      if (!(target in sources)) continue;
      if (state.get(target) === "open") {
        found.add(`cycle: ${[...trail.slice(trail.indexOf(target)), target].join(" → ")}`);
      } else if (!state.has(target)) visit(target);
    }
    trail.pop();
    state.set(path, "done");
  };
  for (const path of Object.keys(sources)) if (!state.has(path)) visit(path);
  return [...found];
}
