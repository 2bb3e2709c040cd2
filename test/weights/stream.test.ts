import { describe, expect, it } from "vitest";
import { openSafetensors, type StoredTensor } from "../../src/weights/safetensors.js";
import { type ByteSource, fromBytes } from "../../src/weights/source.js";
import { streamTensors } from "../../src/weights/stream.js";
import { failure, sampleFile, sampleTensors } from "./tiny.js";

interface Watched extends ByteSource {
  readonly reads: [number, number][];
}

/** A source that notes what is read of it. */
function watch(source: ByteSource): Watched {
  const reads: [number, number][] = [];
  return {
    name: source.name,
    size: source.size,
    reads,
    read(begin, end, signal) {
      reads.push([begin, end]);
      return source.read(begin, end, signal);
    },
  };
}

async function sample(): Promise<{ source: Watched; tensors: StoredTensor[] }> {
  const source = watch(fromBytes(sampleFile()));
  const tensors = [...(await openSafetensors(source)).tensors.values()];
  source.reads.length = 0;
  return { source, tensors };
}

describe("streaming tensors", () => {
  it.each([16, 17, 48, 100, 1000, 2999, 3000, 4096, 1e6, undefined])(
    "equals reading them, in pieces of %s",
    async (size) => {
      const { source, tensors } = await sample();
      const limit = size ?? 2 ** 24;
      const got = new Map(tensors.map((t) => [t.name, new Uint8Array(t.end - t.begin)]));
      const done: string[] = [];
      let filled = 0;
      let previous = "";
      for await (const { tensor, offset, bytes, last } of streamTensors(tensors.toReversed(), { pieceBytes: size })) {
        if (tensor.name !== previous) filled = 0;
        previous = tensor.name;
        expect(offset).toBe(filled);
        expect(offset % 16).toBe(0);
        expect(bytes.byteOffset % 8).toBe(0);
        expect(bytes.length).toBeLessThanOrEqual(limit);
        if (!last) expect(bytes.length % 16).toBe(0);
        got.get(tensor.name)!.set(bytes, offset);
        filled += bytes.length;
        if (last) {
          expect(filled).toBe(tensor.end - tensor.begin);
          done.push(tensor.name);
        }
      }
      for (const { name, bytes } of sampleTensors()) expect(got.get(name)).toEqual(bytes);
      expect(done).toEqual(tensors.map(({ name }) => name));
      expect(source.reads.every(([begin, end]) => end - begin <= limit)).toBe(true);
      const total = source.reads.reduce((sum, [begin, end]) => sum + end - begin, 0);
      expect(total).toBe(sampleTensors().reduce((sum, { bytes }) => sum + bytes.length, 0));
    },
  );

  it("reads neighbours with one request", async () => {
    const { source, tensors } = await sample();
    for await (const _ of streamTensors(tensors)) void _;
    expect(source.reads).toHaveLength(1);
  });

  it("reads over small gaps but not over wide ones", async () => {
    const source = watch(fromBytes(new Uint8Array(400_000)));
    const tensor = (name: string, begin: number, end: number): StoredTensor => ({
      name,
      dtype: "U8",
      shape: [end - begin],
      source,
      begin,
      end,
    });
    const tensors = [tensor("a", 0, 10), tensor("b", 60_000, 60_010), tensor("c", 200_000, 200_010)];
    for await (const _ of streamTensors(tensors)) void _;
    expect(source.reads).toEqual([
      [0, 60_010],
      [200_000, 200_010],
    ]);
  });

  it("keeps the files apart, in the order in which they come", async () => {
    const [a, b] = [await sample(), await sample()];
    const names: string[] = [];
    const mixed = a.tensors.flatMap((tensor, i) => [b.tensors[i]!, tensor]);
    for await (const { tensor } of streamTensors(mixed)) names.push(tensor.source === a.source ? "a" : "b");
    expect(names.join("")).toBe("bbbbbbbaaaaaaa");
  });

  it("reads a tensor that is asked for twice twice", async () => {
    const { tensors } = await sample();
    const matrix = tensors.find((t) => t.name === "matrix")!;
    let total = 0;
    for await (const { bytes } of streamTensors([matrix, matrix], { pieceBytes: 1024 })) total += bytes.length;
    expect(total).toBe(6000);
  });

  it("has the next request under way, and only that", async () => {
    const { source, tensors } = await sample();
    const pieces = streamTensors(tensors, { pieceBytes: 1024 });
    await pieces.next();
    expect(source.reads).toHaveLength(2);
    await pieces.return();
    expect(source.reads).toHaveLength(2);
  });

  it("has as many under way as the source reads at once, in order", async () => {
    const { source, tensors } = await sample();
    const reads: number[] = [];
    let [open, mostOpen] = [0, 0];
    const several: ByteSource = {
      name: "several",
      size: source.size,
      readsAtOnce: 3,
      async read(begin, end) {
        reads.push(begin);
        mostOpen = Math.max(mostOpen, ++open);
        // The first ones come last.
        await new Promise((done) => setTimeout(done, reads.length > 3 ? 0 : 20 - 5 * reads.length));
        open--;
        return source.read(begin, end);
      },
    };
    const got = new Map(tensors.map((t) => [t.name, new Uint8Array(t.end - t.begin)]));
    const fed = tensors.map((t) => ({ ...t, source: several }));
    for await (const { tensor, offset, bytes } of streamTensors(fed, { pieceBytes: 1024 })) {
      got.get(tensor.name)!.set(bytes, offset);
    }
    for (const { name, bytes } of sampleTensors()) expect(got.get(name)).toEqual(bytes);
    expect(reads).toEqual(reads.toSorted((a, b) => a - b));
    expect(mostOpen).toBe(3);
  });

  it("of nothing ends at once", async () => {
    expect(await streamTensors([]).next()).toEqual({ done: true, value: undefined });
  });

  it("calls off the request under way when the caller leaves", async () => {
    const { source, tensors } = await sample();
    let aborted = false;
    let calls = 0;
    const slow: ByteSource = {
      name: "slow",
      size: source.size,
      read(begin, end, signal) {
        if (calls++ === 0) return source.read(begin, end);
        return new Promise((_, reject) => {
          signal!.addEventListener("abort", () => {
            aborted = true;
            reject(signal!.reason);
          });
        });
      },
    };
    for await (const _ of streamTensors(
      tensors.map((t) => ({ ...t, source: slow })),
      { pieceBytes: 1024 },
    )) {
      break;
    }
    expect(aborted).toBe(true);
  });

  it("passes on failures and aborts", async () => {
    const { tensors } = await sample();
    const broken: ByteSource = { name: "x", size: 1e9, read: () => Promise.reject(new Error("broken")) };
    const drain = async (list: StoredTensor[], signal?: AbortSignal) => {
      for await (const _ of streamTensors(list, { pieceBytes: 64, ...(signal && { signal }) })) void _;
    };
    expect(await failure(drain(tensors.map((t) => ({ ...t, source: broken }))))).toBe("Error: broken");
    expect(await failure(drain(tensors, AbortSignal.abort(new Error("enough"))))).toBe("Error: enough");
    const controller = new AbortController();
    const pieces = streamTensors(tensors, { signal: controller.signal });
    await pieces.next();
    controller.abort(new Error("enough"));
    expect(await failure(pieces.next())).toBe("Error: enough");
  });

  it("refuses pieces of no size", async () => {
    for (const pieceBytes of [0, 15, 16.5, Number.NaN]) {
      expect(await failure(streamTensors([], { pieceBytes }).next())).toContain(
        "pieceBytes: expected an integer of at least 16",
      );
    }
  });
});

describe("tensors that share bytes", () => {
  it.each([16, 32, 64, 1000])("come whole, in pieces of %s", async (pieceBytes) => {
    const source = fromBytes(Uint8Array.from({ length: 200 }, (_, i) => i));
    const ranges: [number, number][] = [
      [0, 200],
      [0, 200],
      [0, 24],
      [40, 120],
      [48, 56],
      [180, 200],
      [190, 190],
    ];
    const tensors = ranges.map(
      ([begin, end], i): StoredTensor => ({ name: `t${i}`, dtype: "U8", shape: [end - begin], source, begin, end }),
    );
    const got = tensors.map((): number[] => []);
    for await (const { tensor, offset, bytes } of streamTensors(tensors, { pieceBytes })) {
      const bucket = got[tensors.indexOf(tensor)]!;
      expect(bucket).toHaveLength(offset);
      bucket.push(...bytes);
    }
    expect(got).toEqual(ranges.map(([begin, end]) => Array.from({ length: end - begin }, (_, i) => begin + i)));
  });
});
