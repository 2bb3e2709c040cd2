import { expect, it } from "vitest";
import { settleCodes, settleLatent, settleTies } from "../../src/cli/conformance/codes.js";

const codebook = { shape: [3, 2], data: [0, 0, 1, 0, 0, 1] };

it("a latent keeps its pixels but those of another code than expected", () => {
  const expected = { shape: [1, 1, 4, 2], data: [0.51, 0, 0, 0.9, 0.1, 0.1, 0, 0.51] };
  const found = { shape: [1, 1, 4, 2], data: [0.49, 0, 0, 0.8, 0.2, 0.1, 0, 0.49] };
  expect([...Array.from(settleLatent(found, expected, codebook).data)]).toEqual([0.51, 0, 0, 0.8, 0.2, 0.1, 0, 0.51]);
});

it("a code is forgiven where it is about as near to what was looked up as the expected one, or nearer, and nowhere else", () => {
  const x = { shape: [4, 2], data: [0.5001, 0, 0.6, 0, 0, 1, 0.4, 0] };
  const found = { shape: [4], data: [0, 0, 1, 0] };
  const settled = settleTies(found, { shape: [4], data: [1, 1, 2, 1] }, x, codebook);
  expect(settled.data).toEqual([1, 0, 1, 1]);
  const codes = { shape: [4, 2], data: [0, 0, 0, 0, 1, 0, 0, 0] };
  const wanted = { shape: [4, 2], data: [1, 0, 1, 0, 0, 1, 1, 0] };
  expect(settleCodes(codes, found, settled, wanted).data).toEqual([1, 0, 0, 0, 1, 0, 1, 0]);
});
