import { describe, expect, it } from "vitest";
import { fromBytes } from "../../src/weights/byteSource.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { renamed, rowsOf } from "../../src/weights/view.js";

const source = fromBytes(Uint8Array.from({ length: 64 }, (_, i) => i));
const tensor: StoredTensor = { name: "packed", dtype: "F16", shape: [6, 2, 2], source, begin: 4, end: 52 };
const read = async ({ source, begin, end }: StoredTensor) => Array.from(await source.read(begin, end));
const from = (begin: number, end: number) => Array.from({ length: end - begin }, (_, i) => begin + i);

describe("rows of a stored tensor", () => {
  it("that are neighbours stay a range of the file", async () => {
    const rows = rowsOf(tensor, "part", [
      { first: 1, count: 2 },
      { first: 3, count: 1 },
    ]);
    expect(rows).toMatchObject({ name: "part", shape: [3, 2, 2], source, begin: 12, end: 36 });
    expect(await read(rows)).toEqual(from(12, 36));
  });

  it("from several places are put together, whatever range is read", async () => {
    const rows = rowsOf(tensor, "part", [
      { first: 4, count: 2 },
      { first: 0, count: 1 },
      { first: 2, count: 1 },
    ]);
    expect(rows.shape).toEqual([4, 2, 2]);
    const all = [...from(36, 52), ...from(4, 12), ...from(20, 28)];
    expect(await read(rows)).toEqual(all);
    expect(Array.from(await rows.source.read(13, 26))).toEqual(all.slice(13, 26));
  });

  it("must be there", () => {
    expect(() => rowsOf(tensor, "part", [{ first: 5, count: 2 }])).toThrow("packed: rows 5 to 7 of 6");
  });
});

it("a view of another shape holds as many elements", () => {
  expect(renamed(tensor, "x", [6, 4]).shape).toEqual([6, 4]);
  expect(() => renamed(tensor, "x", [6, 5])).toThrow("packed: [6, 2, 2] does not hold as many elements as [6, 5]");
});
