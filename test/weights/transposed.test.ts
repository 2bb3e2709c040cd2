import { expect, it } from "vitest";
import { fromBytes } from "../../src/weights/byteSource.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { transposed } from "../../src/weights/transposed.js";

const source = fromBytes(Uint8Array.from({ length: 40 }, (_, i) => i));
const tensor: StoredTensor = { name: "p", dtype: "F16", shape: [2, 3], source, begin: 4, end: 16 };

it("a transposed matrix swaps whole elements, whatever range is read", async () => {
  const turned = transposed(tensor, "t");
  expect(turned).toMatchObject({ name: "t", dtype: "F16", shape: [3, 2], begin: 0, end: 12 });
  const all = [4, 5, 10, 11, 6, 7, 12, 13, 8, 9, 14, 15];
  expect([...(await turned.source.read(0, 12))]).toEqual(all);
  expect([...(await turned.source.read(3, 9))]).toEqual(all.slice(3, 9));
  await expect(turned.source.read(0, 13)).rejects.toThrow("expected a range within its 12 bytes");
});

it("nothing but a matrix of whole bytes is transposed", () => {
  expect(() => transposed({ ...tensor, shape: [1, 2, 3] }, "t")).toThrow("p: [1, 2, 3] F16 is no matrix");
  expect(() => transposed({ ...tensor, dtype: "F4" }, "t")).toThrow("[2, 3] F4 is no matrix of whole bytes");
});
