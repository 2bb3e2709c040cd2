import { describe, expect, it } from "vitest";
import { Passing } from "../../src/weights/passing.js";
import { failure } from "./tiny.js";

const megabyte = 2 ** 20;
const piece = (index: number) => new Uint8Array(megabyte).fill(index);

/** Whether a promise is still pending after everything that could settle it has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  return !settled;
}

describe("bytes on their way into the cache", () => {
  it("are read as they come, across pieces, into memory that is given", async () => {
    const passing = new Passing();
    const into = new ArrayBuffer(16);
    const read = passing.read(megabyte - 4, megabyte + 4, undefined, into);
    await passing.push(piece(1));
    expect(await isPending(read)).toBe(true);
    await passing.push(piece(2));
    const bytes = (await read)!;
    expect([...bytes]).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
    expect(bytes.buffer).toBe(into);
  });

  it("wait for a reader when eight megabytes of them are held, and go on as they are read", async () => {
    const passing = new Passing();
    for (let i = 0; i < 7; i++) await passing.push(piece(i));
    const eighth = passing.push(piece(7));
    expect(await isPending(eighth)).toBe(true);
    expect((await passing.read(0, megabyte))![0]).toBe(0);
    await eighth;
    const ninth = passing.push(piece(8));
    expect(await isPending(ninth)).toBe(true);
    // One who waits for what is still to come needs the transfer to go on.
    const far = passing.read(9 * megabyte, 10 * megabyte);
    await ninth;
    await passing.push(piece(9));
    expect((await far)![0]).toBe(9);
  });

  it("are gone when they were read, or lie before what is read", async () => {
    const passing = new Passing();
    await passing.push(piece(1));
    await passing.push(piece(2));
    expect(await passing.read(megabyte, megabyte + 1)).toEqual(Uint8Array.of(2));
    expect(await passing.read(0, 1)).toBeUndefined();
  });

  it("are not held when nobody reads any more, and whoever waits is told", async () => {
    const passing = new Passing();
    for (let i = 0; i < 7; i++) await passing.push(piece(i));
    const held = passing.push(piece(7));
    const read = passing.read(20 * megabyte, 21 * megabyte);
    passing.end();
    await held;
    expect(await read).toBeUndefined();
    for (let i = 0; i < 20; i++) await passing.push(piece(i));
  });

  it("end both waits with the reason of a signal", async () => {
    const controller = new AbortController();
    const passing = new Passing();
    for (let i = 0; i < 7; i++) await passing.push(piece(i));
    const held = passing.push(piece(7), controller.signal);
    const read = new Passing().read(0, 1, controller.signal);
    controller.abort(new Error("enough"));
    expect([await failure(held), await failure(read)]).toEqual(["Error: enough", "Error: enough"]);
  });
});
