import { describe, expect, it } from "vitest";
import { type ByteSource, fromBytes } from "../../src/weights/byteSource.js";
import { fill } from "../../src/weights/fill.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { streamTensors } from "../../src/weights/stream.js";

const ramp = (length: number) => Uint8Array.from({ length }, (_, i) => i);

/** A body of bytes that arrives in chunks. */
const body = (chunks: readonly Uint8Array<ArrayBuffer>[]) =>
  new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk.slice());
      controller.close();
    },
  });

describe("filling memory with a body", () => {
  it.each([
    ["as long", [10, 22], 32],
    ["shorter", [7], 32],
    ["empty", [], 8],
  ])("%s", async (_, lengths, size) => {
    const chunks = lengths.map(ramp);
    const into = new ArrayBuffer(size);
    const bytes = await fill(body(chunks), into);
    expect([...bytes!]).toEqual(chunks.flatMap((chunk) => [...chunk]));
    expect(bytes!.buffer.byteLength).toBe(size);
    expect(into.byteLength).toBe(0);
  });

  it("fails where more comes", async () => {
    await expect(fill(body([ramp(10)]), new ArrayBuffer(9))).rejects.toThrow("more came than 9 bytes");
  });

  it("leaves a body alone that cannot fill any", async () => {
    const plain = new ReadableStream({
      start(controller) {
        controller.enqueue(ramp(3));
        controller.close();
      },
    });
    const into = new ArrayBuffer(8);
    expect(fill(plain, into)).toBeUndefined();
    expect(into.byteLength).toBe(8);
    expect([...new Uint8Array(await new Response(plain).arrayBuffer())]).toEqual([0, 1, 2]);
  });
});

describe("memory of a stream", () => {
  const tensorsOf = (source: ByteSource): StoredTensor[] =>
    [0, 1, 2, 3].map((i) => ({
      name: `t${i}`,
      dtype: "U8",
      shape: [64],
      source,
      begin: 64 * i,
      end: 64 * (i + 1),
    }));
  const bytes = ramp(256);

  it.each([1, 3])("is used again and again by a source that takes it, %s reads at once", async (readsAtOnce) => {
    const handed = new Set<ArrayBuffer>();
    const returned = new Set<ArrayBuffer>();
    let fresh = 0;
    const source: ByteSource = {
      name: "taking",
      size: 256,
      readsAtOnce,
      async read(begin, end, _signal, into) {
        if (!returned.has(into!)) fresh++;
        handed.add(into!);
        await new Promise((done) => setTimeout(done, (begin * 7) % 5)); // not in the order of asking
        const memory = structuredClone(into!, { transfer: [into!] });
        returned.add(memory);
        new Uint8Array(memory).set(bytes.subarray(begin, end));
        return new Uint8Array(memory, 0, end - begin);
      },
    };
    const got: number[] = [];
    for await (const piece of streamTensors(tensorsOf(source), { pieceBytes: 32 })) got.push(...piece.bytes);
    expect(got).toEqual([...bytes]);
    expect(handed.size).toBe(8);
    expect(fresh).toBe(readsAtOnce + 1);
  });

  it("stays apart from that of a source that has its own", async () => {
    const kept = bytes.slice();
    const got: number[] = [];
    for await (const piece of streamTensors(tensorsOf(fromBytes(kept)), { pieceBytes: 32 })) got.push(...piece.bytes);
    expect(got).toEqual([...bytes]);
    expect(kept).toEqual(bytes);
  });
});
