import { expect, it } from "vitest";
import { settleLatent, settleTies } from "../../src/cli/conformance/codes.js";

const codebook = { shape: [3, 2], data: [0, 0, 1, 0, 0, 1] };

it("a latent keeps its pixels but those of another code than expected", () => {
  const expected = { shape: [1, 1, 4, 2], data: [0.51, 0, 0, 0.9, 0.1, 0.1, 0, 0.51] };
  const found = { shape: [1, 1, 4, 2], data: [0.49, 0, 0, 0.8, 0.2, 0.1, 0, 0.49] };
  expect([...Array.from(settleLatent(found, expected, codebook).data)]).toEqual([0.51, 0, 0, 0.8, 0.2, 0.1, 0, 0.51]);
});

it("a code is forgiven where the expected one is about as near, and nowhere else", () => {
  const x = { shape: [1, 3, 2], data: [0.5001, 0, 0.6, 0, 0, 1] };
  const settled = settleTies({ shape: [3], data: [0, 0, 1] }, { shape: [3], data: [1, 1, 2] }, x, codebook);
  expect(settled.data).toEqual([1, 0, 1]);
});
