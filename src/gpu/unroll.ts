import { invariant } from "../core/invariant.js";

// Compilers of drivers do not take loops over arrays of matrices apart, and then keep the matrices in memory instead of
// registers. So the loops that shaders mark with `/*#unroll*/` are written out before they are compiled.

const marked = /\/\*#unroll\*\/\s*for\s*\(var (\w+) ?= ?([^;]+); ?\1 ?< ?([^;]+); ?(?:\1\+\+|\1 ?\+= ?([^){]+))\)\s*\{/;

/** Writes out the marked loops; their bounds are constants of the file. Inner ones may lie in outer ones. */
export function unroll(code: string): string {
  if (!marked.test(code)) return code;
  const constants = new Constants(code);
  let text = code;
  for (let match = marked.exec(text); match; match = marked.exec(text)) {
    const [head, name, first, end, step] = match as unknown as [string, string, string, string, string | undefined];
    const open = match.index + head.length;
    const close = closingBrace(text, open);
    const body = text.slice(open, close);
    const uses = new RegExp(`\\b${name}\\b`, "g");
    let written = "";
    const last = constants.value(end);
    for (let i = constants.value(first); i < last; i += step ? constants.value(step) : 1) {
      written += `{${body.replace(uses, `${i}u`)}}\n`;
    }
    text = text.slice(0, match.index) + written + text.slice(close + 1);
  }
  return text;
}

/** Where the block closes whose inside starts at `at`. */
function closingBrace(text: string, at: number): number {
  let depth = 1;
  for (let i = at; i < text.length; i++) {
    if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i;
  }
  invariant(false, "wgsl: a marked loop does not close");
}

/** The unsigned constants of a file: sums, differences, products and quotients of numbers and of one another. */
class Constants {
  private readonly texts = new Map<string, string>();

  constructor(code: string) {
    for (const [, name, text] of code.matchAll(/^const (\w+): u32 = ([^;]+);/gm)) this.texts.set(name!, text!);
  }

  value(text: string): number {
    const tokens = text.match(/\d+|\w+|[-+*/()]/g) ?? [];
    let at = 0;
    const atom = (): number => {
      const token = tokens[at++];
      if (token === "(") {
        const inner = sum();
        at++;
        return inner;
      }
      if (token !== undefined && /^\d/.test(token)) {
        if (tokens[at] === "u") at++; // the suffix is a token of its own
        return Number(token);
      }
      const known = token === undefined ? undefined : this.texts.get(token);
      invariant(known !== undefined, `wgsl: the bound of a marked loop mentions ${token}, which is no constant`);
      return this.value(known);
    };
    const product = (): number => {
      let value = atom();
      while (tokens[at] === "*" || tokens[at] === "/") {
        value = tokens[at++] === "*" ? value * atom() : Math.floor(value / atom());
      }
      return value;
    };
    const sum = (): number => {
      let value = product();
      while (tokens[at] === "+" || tokens[at] === "-")
        value = tokens[at++] === "+" ? value + product() : value - product();
      return value;
    };
    const value = sum();
    invariant(at === tokens.length, `wgsl: the bound of a marked loop is ${text}, expected a sum of products`);
    return value;
  }
}
