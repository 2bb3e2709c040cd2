import activation from "../../shaders/lib/activation.wgsl";
import philox from "../../shaders/lib/philox.wgsl";
import prediction from "../../shaders/lib/prediction.wgsl";
import reduce from "../../shaders/lib/reduce.wgsl";
import trig from "../../shaders/lib/trig.wgsl";
import { invariant } from "../core/invariant.js";
import { type ConstValues, type Kernel, textOf } from "../core/kernel.js";

const libs: Readonly<Record<string, Kernel["code"]>> = {
  "lib/activation.wgsl": activation,
  "lib/direct.wgsl": () => import("../../shaders/lib/direct.wgsl"),
  "lib/epilogue.wgsl": () => import("../../shaders/lib/epilogue.wgsl"),
  "lib/epilogue4.wgsl": () => import("../../shaders/lib/epilogue4.wgsl"),
  "lib/gated4.wgsl": () => import("../../shaders/lib/gated4.wgsl"),
  "lib/philox.wgsl": philox,
  "lib/prediction.wgsl": prediction,
  "lib/reduce.wgsl": reduce,
  "lib/tile.wgsl": () => import("../../shaders/lib/tile.wgsl"),
  "lib/trig.wgsl": trig,
};

/** Replaces each `//#import lib/name.wgsl` line with that file's text, once, depth first. */
export async function expandImports(code: string, seen = new Set<string>()): Promise<string> {
  let text = code;
  for (const [line, path] of code.matchAll(/^\/\/#import (\S+)[^\n]*$/gm)) {
    const lib = libs[path!];
    invariant(lib !== undefined, `wgsl: import of ${path}, which is no library file`);
    const known = seen.has(path!);
    seen.add(path!);
    const inner = known ? "" : await expandImports(await textOf({ code: lib }), seen);
    text = text.replace(line, () => inner);
  }
  return text;
}

/** Whether there are loops for `unroll.ts` to write out. */
export const hasMarkedLoops = (code: string): boolean => code.includes("/*#unroll*/");

/** Rewrites the right-hand side of top-level `alias` and `const` declarations; each must be there exactly once. */
export function specialise(code: string, consts: ConstValues): string {
  let text = code;
  let half = false;
  for (const [name, value] of Object.entries(consts)) {
    const declaration = new RegExp(`^((?:alias|const) ${name}\\b[^=;]*=)[^;]*;`, "gm");
    const count = text.match(declaration)?.length ?? 0;
    invariant(count === 1, `wgsl: ${count} declarations of ${name}, expected one`);
    text = text.replace(declaration, (_all, head: string) => `${head} ${literal(head, value)};`);
    half ||= String(value).includes("f16");
  }
  return half ? `enable f16;\n${text}` : text;
}

function literal(head: string, value: string | number): string {
  if (typeof value === "string") return value;
  return /:\s*f32/.test(head) && Number.isInteger(value) ? `${value}.0` : String(value);
}
