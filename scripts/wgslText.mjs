// WGSL as text, for bundles: without comments and layout, and in the form that `specialise` and `expandImports` read.
import { readFileSync } from "node:fs";

/**
 * An esbuild plugin that loads `.wgsl` files as minified text.
 * @returns {import("esbuild").Plugin}
 */
export function wgslPlugin() {
  return {
    name: "wgsl",
    setup(build) {
      build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({
        contents: minifyWgsl(readFileSync(path, "utf8")),
        loader: "text",
        watchFiles: [path],
      }));
    },
  };
}

/** Stands before loops that `src/gpu/unroll.ts` writes out. */
const unrollMark = "/*#unroll*/";

/**
 * Strips comments and needless white space. `//#import` lines stay lines of their own; top-level declarations keep
 * theirs and the spaces inside, since they are rewritten by name at run time.
 * @param {string} code
 * @returns {string}
 */
export function minifyWgsl(code) {
  const lines = withoutComments(code)
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => line !== "");
  let text = "";
  let depth = 0;
  for (const line of lines) {
    const fixed = depth === 0 && /^(\/\/#import|alias |const |override )/.test(line);
    // Around brackets, separators and operators between two operands: elsewhere a space may part two tokens (`a - -b`).
    const brackets = fixed ? line : line.replace(/ ?([{}()[\],;:]) ?/g, "$1");
    const small = fixed ? line : brackets.replace(/(?<=[\w)\]]) ([-+*/%&|^=<>!]{1,3}) (?=[\w(])/g, "$1");
    const joins = depth > 0 || /^[{)]/.test(small);
    if (text !== "") text += joins ? (/[{}()[\],;]$/.test(text) || /^[{}()[\],;]/.test(small) ? "" : " ") : "\n";
    text += small;
    for (const character of line.startsWith("//#import") ? "" : line) {
      if ("{([".includes(character)) depth++;
      if ("})]".includes(character)) depth--;
    }
  }
  return `${text}\n`;
}

/** @param {string} code */
function withoutComments(code) {
  let text = "";
  let nested = 0; // block comments of WGSL nest
  for (let i = 0; i < code.length; i++) {
    const two = code.slice(i, i + 2);
    if (two === "/*" && nested === 0 && code.startsWith(unrollMark, i)) {
      text += unrollMark;
      i += unrollMark.length - 1;
    } else if (two === "/*") {
      nested++;
      i++;
    } else if (nested > 0 && two === "*/") {
      nested--;
      i++;
      if (nested === 0) text += " ";
    } else if (nested === 0 && two === "//" && !/^\/\/#import \S/.test(code.slice(i, i + 12))) {
      const end = code.indexOf("\n", i);
      i = (end < 0 ? code.length : end) - 1;
    } else if (nested === 0) {
      text += code[i];
    }
  }
  return text;
}
