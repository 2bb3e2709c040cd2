import { describe, expect, it } from "vitest";
import { minifyWgsl } from "../../scripts/wgslText.mjs";
import { unroll } from "../../src/gpu/unroll.js";

const code = `const ROWS: u32 = 4u;
const COLUMNS: u32 = ROWS / 2u + (3 - 2);
fn f() {
  /*#unroll*/ for (var i = 0u; i < ROWS; i += 2u) {
    /*#unroll*/ for (var j = 0u; j < COLUMNS; j++) { a[i] = b[j] + hi; }
  }
  for (var i = 0u; i < 9u; i++) { c[i] = 0; }
}
`;

/** Statements without white space and the brackets around them. */
const statements = (text: string): string[] => text.match(/[abc]\[\w+\] ?= ?[^;]+;/g) ?? [];

describe("marked loops", () => {
  it("are written out, inner ones too, and no others", () => {
    const text = unroll(code);
    const expected = [0, 2].flatMap((i) => [0, 1, 2].map((j) => `a[${i}u] = b[${j}u] + hi;`));
    expect(statements(text)).toEqual([...expected, "c[i] = 0;"]);
    expect(text.match(/for \(/g)).toHaveLength(1);
  });

  it("are so in minified text", () => {
    expect(statements(unroll(minifyWgsl(code)))).toHaveLength(7);
  });

  it("need bounds that are constants", () => {
    expect(() => unroll(code.replace("i < ROWS", "i < rows"))).toThrow(/mentions rows, which is no constant/);
    expect(() => unroll(code.replace("i < ROWS", "i < ROWS % 2u"))).toThrow(/expected a sum of products/);
  });
});
