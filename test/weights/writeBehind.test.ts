import { describe, expect, it } from "vitest";
import { WriteBehind } from "../../src/weights/writeBehind.js";
import { failure } from "./tiny.js";

const megabyte = 2 ** 20;

describe("writing behind", () => {
  it("gathers small pieces to blocks, in order", async () => {
    const blocks: Uint8Array[] = [];
    const behind = new WriteBehind(async (block) => {
      await new Promise((resolve) => setTimeout(resolve, blocks.length ? 0 : 5)); // the first is the slowest
      blocks.push(block);
    });
    const pieces = Array.from({ length: 40 }, (_, i) => new Uint8Array(65_000).fill(i));
    for (const piece of pieces) await behind.add(piece);
    await behind.end();
    expect(blocks).toHaveLength(3);
    expect(Buffer.concat(blocks).equals(Buffer.concat(pieces))).toBe(true);
  });

  it("does not wait for a write, until much is waiting", async () => {
    const begun: (() => void)[] = [];
    const behind = new WriteBehind(() => new Promise((resolve) => begun.push(resolve)));
    for (let i = 0; i < 8; i++) await behind.add(new Uint8Array(megabyte));
    let went = false;
    const ninth = behind.add(new Uint8Array(megabyte)).then(() => {
      went = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([begun.length, went]).toEqual([1, false]);
    begun[0]!();
    await ninth;
  });

  it("tells what a write failed with, at the latest in the end", async () => {
    const behind = new WriteBehind(() => Promise.reject(new Error("full")));
    await behind.add(new Uint8Array(megabyte));
    expect(await failure(behind.end())).toBe("Error: full");
    const more = async () => {
      for (let i = 0; i < 20; i++) await behind.add(new Uint8Array(megabyte));
    };
    expect(await failure(more())).toBe("Error: full");
  });
});
