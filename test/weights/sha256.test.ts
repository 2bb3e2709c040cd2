import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { Sha256, sha256 } from "../../src/weights/sha256.js";
import { seeded } from "./tiny.js";

const next = seeded(3);
const bytes = Uint8Array.from({ length: 100_000 }, () => Math.floor(next() * 256));
const expected = (part: Uint8Array) => createHash("sha256").update(part).digest("hex");

it.each([0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 100_000])("hashes %i bytes", (length) => {
  const digest = new Sha256();
  digest.update(bytes.subarray(0, length));
  expect(digest.hex()).toBe(expected(bytes.subarray(0, length)));
});

it("hashes pieces of any size", () => {
  for (const digest of [new Sha256(), sha256()]) {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = [1, 63, 64, 65, 7, 500, 0][i % 7]!;
      digest.update(bytes.subarray(at, at + size));
      at += size;
    }
    expect(digest.hex()).toBe(expected(bytes));
  }
});
