import { expect, it } from "vitest";
import { endRows } from "../../src/text/endToken.js";

it("finds the first end token of each prompt, or the first of its largest ids", () => {
  const ids = [1, 5, 9, 9, 1, 9, 3, 3];
  expect(endRows(ids, 4, 9)).toEqual([2, 5]);
  expect(endRows(ids, 4)).toEqual([2, 5]);
  expect(endRows(ids, 4, 1)).toEqual([0, 4]);
  expect(endRows(ids, 8)).toEqual([2]);
  expect(() => endRows(ids, 4, 5)).toThrow("prompt 1: has no end token 5");
  expect(() => endRows(ids, 3)).toThrow("8 ids are no prompts of 3");
});
