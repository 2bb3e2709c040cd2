import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WebldmError } from "../../src/core/invariant.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { openWeights } from "../../src/weights/openWeights.js";
import { openSafetensors, type StoredTensor } from "../../src/weights/safetensors.js";
import { type ByteSource, fromBytes } from "../../src/weights/source.js";
import { streamTensors } from "../../src/weights/stream.js";
import { openTorch } from "../../src/weights/torchFile.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { failure, sampleFile, seeded } from "./tiny.js";
import {
  bytesOf,
  call,
  dict,
  global,
  int,
  pickle,
  tensorCall,
  text,
  torchArchive,
  torchStream,
  torchZip,
  tuple,
  u64,
  type Window,
  zip,
} from "./torchBytes.js";

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../golden/ops/${name}`, import.meta.url)));
const contentOf = async ({ source, begin, end }: StoredTensor) => [...(await source.read(begin, end))];
const numbersOf = async ({ source, begin, end, dtype }: StoredTensor) => [
  ...toFloat32(await source.read(begin, end), dtype),
];
const open = (bytes: Uint8Array) => openTorch(fromBytes(bytes, "model.ckpt"));

describe.each(["pickle_zip.ckpt", "pickle_legacy.ckpt"])("%s", (file) => {
  it("holds the tensors that PyTorch put into it", async () => {
    const expected = await openSafetensors(fromBytes(golden("pickle_expected.safetensors")));
    const { tensors, metadata } = await open(golden(file));
    expect([...tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
    for (const [name, tensor] of expected.tensors) {
      expect(tensors.get(name), name).toMatchObject({ name, dtype: tensor.dtype, shape: tensor.shape });
      expect(await contentOf(tensors.get(name)!), name).toEqual(await contentOf(tensor));
    }
    expect(Object.fromEntries(metadata)).toEqual({ global_step: "7", big: "1180591620717411303424" });
  });

  it("streams like any other file", async () => {
    const { tensors } = await open(golden(file));
    for (const pieceBytes of [16, 48, 2 ** 20]) {
      const got = new Map([...tensors.keys()].map((name): [string, number[]] => [name, []]));
      for await (const { tensor, offset, bytes } of streamTensors(tensors.values(), { pieceBytes })) {
        expect(got.get(tensor.name)).toHaveLength(offset);
        got.get(tensor.name)!.push(...bytes);
      }
      for (const tensor of tensors.values()) expect(got.get(tensor.name)).toEqual(await contentOf(tensor));
    }
  });
});

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const ramp = floats(...Array.from({ length: 24 }, (_, i) => i));
const window = (options: Omit<Window, "total">) =>
  torchArchive(dict({ w: tensorCall("0", { total: 24, ...options }) }), { "0": ramp });

describe("tensors with strides", () => {
  it.each<[string, Omit<Window, "total">, number[]]>([
    ["transposed", { shape: [3, 2], strides: [1, 3] }, [0, 3, 1, 4, 2, 5]],
    ["a column", { shape: [4], strides: [6], offset: 2 }, [2, 8, 14, 20]],
    ["every other row", { shape: [2, 2], strides: [12, 1], offset: 6 }, [6, 7, 18, 19]],
    ["repeated", { shape: [2, 3], strides: [0, 1], offset: 1 }, [1, 2, 3, 1, 2, 3]],
    ["repeated beyond the storage", { shape: [30], strides: [0], offset: 5 }, new Array(30).fill(5)],
    ["overlapping", { shape: [3, 3], strides: [1, 1] }, [0, 1, 2, 1, 2, 3, 2, 3, 4]],
    ["axes of one with any stride", { shape: [1, 3, 1], strides: [99, 1, 77], offset: 4 }, [4, 5, 6]],
    ["an axis of zero with any stride", { shape: [2, 0], strides: [99, 77], offset: 24 }, []],
    ["a scalar", { shape: [], offset: 23 }, [23]],
    ["permuted axes", { shape: [2, 2, 3], strides: [3, 12, 1] }, [0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17]],
  ])("%s", async (_, options, expected) => {
    const tensor = (await open(window(options))).tensors.get("w")!;
    expect(tensor.shape).toEqual(options.shape);
    expect(await numbersOf(tensor)).toEqual(expected);
    const { source, begin, end } = tensor;
    const all = await contentOf(tensor);
    for (let from = 0; from <= all.length; from += 3) {
      const to = Math.min(from + 7, all.length);
      expect([...(await source.read(begin + from, begin + to))]).toEqual(all.slice(from, to));
    }
    expect(end - begin).toBe(expected.length * 4);
  });

  it("are read in blocks where they lie far apart", async () => {
    const rows = 600;
    const columns = 5000; // 12 MB, of which a column touches all
    const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
    const bytes = torchArchive(
      dict({ w: tensorCall("0", { total: rows * columns, shape: [columns, rows], strides: [1, columns] }) }),
      { "0": new Uint8Array(values.buffer) },
    );
    const inner = fromBytes(bytes, "model.ckpt");
    let largest = 0;
    const source: ByteSource = {
      ...inner,
      read(begin, end, signal) {
        largest = Math.max(largest, end - begin);
        return inner.read(begin, end, signal);
      },
    };
    const tensor = (await openTorch(source)).tensors.get("w")!;
    const first = 1234 * rows + 5;
    const got = new Float32Array((await tensor.source.read(first * 4, (first + 2 * rows) * 4)).slice().buffer);
    const expected = Array.from({ length: 2 * rows }, (_, i) => {
      const [column, row] = [Math.floor((first + i) / rows), (first + i) % rows];
      return row * columns + column;
    });
    expect([...got]).toEqual(expected);
    expect(largest).toBeLessThanOrEqual(2 ** 22);
  });

  it.each<[string, Omit<Window, "total">, string]>([
    ["beyond the storage", { shape: [25] }, "reaches to element 24 of a storage of 96 bytes"],
    ["beyond by its offset", { shape: [4], offset: 21 }, "reaches to element 24"],
    ["beyond by its stride", { shape: [2], strides: [24] }, "reaches to element 24"],
    ["beyond all numbers", { shape: [2 ** 30, 2 ** 30] }, "a tensor's shape is too large"],
    ["a storage that is repeated without end", { shape: [2 ** 30], strides: [0] }, "repeats its storage to 1073741824"],
    ["a negative stride", { shape: [2], strides: [-1] }, "a tensor's sizes are no tuple of counts"],
    ["a negative offset", { shape: [2], offset: -1 }, "a tensor's offset is no count"],
    ["fewer strides than axes", { shape: [2, 2], strides: [1] }, "a tensor has not as many strides as axes"],
  ])("do not reach %s", async (_, options, message) => {
    const error = await failure(open(window(options)));
    expect(error).toMatch(/^WebldmError: model\.ckpt: /);
    expect(error).toContain(message);
  });
});

describe("where the weights are", () => {
  const w = tensorCall("0", { total: 24, shape: [1] });
  const names = async (object: Uint8Array) => [...(await open(torchArchive(object, { "0": ramp }))).tensors.keys()];
  it.each<[string, Uint8Array, string[]]>([
    ["state_dict", dict({ state_dict: dict({ a: w }), model: dict({ b: w }), optimizer: dict({ c: w }) }), ["a"]],
    ["state_dict of the model", dict({ model: dict({ state_dict: dict({ a: w }) }), epoch: int(1) }), ["a"]],
    ["the model", dict({ model: dict({ a: w }), optimizer: dict({ c: w }) }), ["a"]],
    ["the dictionary itself", dict({ a: w, epoch: int(1), "b.c": w }), ["a", "b.c"]],
    ["the dictionary, beside something called model", dict({ a: w, model: dict({ b: w }) }), ["a", "model.b"]],
    [
      "nested dictionaries",
      dict({ unet: dict({ a: w, deep: dict({ b: w }) }), vae: dict({ a: w }) }),
      ["unet.a", "unet.deep.b", "vae.a"],
    ],
  ])("%s", async (_, object, expected) => {
    expect(await names(object)).toEqual(expected);
  });

  it("leaves plain values as text", async () => {
    const object = dict({
      state_dict: dict({ a: w, scale: int(3) }),
      epoch: int(4),
      global_step: bytesOf("\x8a", 4, 0x30, 0x2d, 0x0d, 0),
      version: text("1.4.2"),
      flag: bytesOf("\x88"),
      none: bytesOf("N"),
      callbacks: bytesOf("}", global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"), "}s"),
      best: call(global("numpy.core.multiarray", "scalar"), call(global("numpy", "dtype"), text("f8")), text("x")),
    });
    const { metadata } = await open(torchArchive(object, { "0": ramp }));
    expect(Object.fromEntries(metadata)).toEqual({ epoch: "4", global_step: "863536", version: "1.4.2", flag: "true" });
  });

  it("names two tensors of one name", async () => {
    const object = dict({ a: dict({ b: w }), "a.b": w });
    expect(await failure(names(object))).toBe("WebldmError: model.ckpt: tensor 'a.b' occurs twice");
  });

  it.each<[string, Uint8Array, string]>([
    ["nothing", dict({}), "model.ckpt: holds no tensors"],
    ["plain values", dict({ state_dict: dict({ a: int(1) }) }), "model.ckpt: holds no tensors"],
    ["a list", bytesOf("](", w, "e"), "model.ckpt: holds no tensors"],
    [
      "a dictionary in itself",
      bytesOf("}q", 0, text("a"), "h", 0, "s"),
      "model.ckpt: its dictionaries are nested deeper than 16 levels",
    ],
    [
      "many times the same",
      bytesOf(
        "}",
        ...Array.from({ length: 14 }, (_, i) =>
          bytesOf("q", i, "0}(", ...[..."abcd"].flatMap((c) => [text(c), "h", i]), "u"),
        ),
      ),
      "model.ckpt: holds more than 1048576 names",
    ],
  ])("finds none in %s", async (_, object, message) => {
    expect(await failure(names(object))).toBe(`WebldmError: ${message}`);
  });
});

describe("ways to store a tensor", () => {
  const untyped = (dtype: string, elementBytes: number, module = "torch.storage", name = "UntypedStorage") => {
    const id = tuple(text("storage"), global(module, name), text("0"), text("cpu"), int(96));
    const args = [int(1), tuple(int(2)), tuple(int(1)), bytesOf("\x89"), bytesOf("}"), global("torch", dtype)];
    const object = dict({ w: call(global("torch._utils", "_rebuild_tensor_v3"), bytesOf(id, "Q"), ...args) });
    return { bytes: torchArchive(object, { "0": ramp }), expected: [...ramp.subarray(elementBytes, 3 * elementBytes)] };
  };

  it.each([
    ["float8_e4m3fn", "F8_E4M3", 1],
    ["float8_e5m2", "F8_E5M2", 1],
    ["uint16", "U16", 2],
    ["float32", "F32", 4],
    ["float64", "F64", 8],
  ] as const)("storages in bytes, of %s", async (name, dtype, elementBytes) => {
    const { bytes, expected } = untyped(name, elementBytes);
    const tensor = (await open(bytes)).tensors.get("w")!;
    expect(tensor).toMatchObject({ dtype, shape: [2] });
    expect(await contentOf(tensor)).toEqual(expected);
  });

  it("parameters and tensors with a state", async () => {
    const storage = bytesOf(
      tuple(text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), int(24)),
      "Q",
    );
    const args = [storage, int(2), tuple(int(2)), tuple(int(1))];
    const object = dict({
      oldest: call(global("torch._utils", "_rebuild_tensor"), ...args),
      parameter: call(
        global("torch._utils", "_rebuild_parameter_with_state"),
        tensorCall("0", { total: 24, shape: [2], offset: 2 }),
        bytesOf("\x88"),
        bytesOf("}"),
        bytesOf("}"),
      ),
      typed: call(
        global("torch._tensor", "_rebuild_from_type_v2"),
        global("torch._utils", "_rebuild_tensor_v2"),
        global("torch.nn.parameter", "Parameter"),
        tuple(...args, bytesOf("\x89"), bytesOf("}")),
        bytesOf("}"),
      ),
    });
    const { tensors } = await open(torchArchive(object, { "0": ramp }));
    expect([...tensors.keys()]).toEqual(["oldest", "parameter", "typed"]);
    for (const tensor of tensors.values()) expect(await numbersOf(tensor)).toEqual([2, 3]);
  });

  it("parts of storages, in the older stream", async () => {
    const part = bytesOf(
      tuple(
        ...[text("storage"), global("torch", "FloatStorage"), text("root"), text("cpu"), int(24)],
        tuple(text("part"), int(10), int(6)),
      ),
      "Q",
    );
    const view = (offset: number, size: number) =>
      dict({ w: call(global("torch._utils", "_rebuild_tensor"), part, int(offset), tuple(int(size)), tuple(int(1))) });
    const { tensors } = await open(torchStream(view(2, 3), { root: [24, ramp] }));
    expect(await numbersOf(tensors.get("w")!)).toEqual([12, 13, 14]);
    expect(await failure(open(torchStream(view(2, 5), { root: [24, ramp] })))).toContain("a storage of 24 bytes");
  });

  it("a long first pickle, in the older stream", async () => {
    const w = tensorCall("0", { total: 24, shape: [24] });
    const object = dict({ log: text("x".repeat(3 * 2 ** 20)), state_dict: dict({ w }) });
    const { tensors } = await open(torchStream(object, { "0": [24, ramp] }));
    expect(await contentOf(tensors.get("w")!)).toEqual([...ramp]);
  });
});

describe("broken checkpoints", () => {
  const w = tensorCall("0", { total: 24, shape: [24] });
  const object = dict({ state_dict: dict({ w }) });
  const archive = (files: Record<string, Uint8Array>) =>
    zip({ "x/data.pkl": pickle(object), "x/data/0": ramp, ...files });
  const stream = torchStream(object, { "0": [24, ramp] });
  it.each<[string, Uint8Array, string]>([
    [
      "an archive of something else",
      zip({ "a.txt": ramp }),
      "expected a zip archive of torch.save, got one with 0 files data.pkl",
    ],
    ["an archive with two pickles", archive({ "y/data.pkl": ramp }), "got one with 2 files data.pkl"],
    ["big-endian numbers", archive({ "x/byteorder": bytesOf("big") }), "expected little-endian numbers, got 'big'"],
    ["a storage that is missing", torchArchive(object), "lacks the storage '0'"],
    ["a storage that is short", torchArchive(object, { "0": ramp.subarray(1) }), "storage '0' takes 96 bytes, got 95"],
    [
      "a storage of two sizes",
      torchArchive(dict({ w, v: tensorCall("0", { total: 23, shape: [1] }) }), { "0": ramp }),
      "storage '0' has two sizes",
    ],
    [
      "a stream of another count",
      torchStream(object, { "0": [25, ramp] }),
      "storage '0': expected 24 elements, got 25",
    ],
    ["a stream that is short", stream.subarray(0, -1), "ended within storage '0' (was the file cut off?)"],
    [
      "a stream with an unknown storage",
      torchStream(object, { "0": [24, ramp], "1": [24, ramp] }),
      "unexpected storage '1'",
    ],
    ["a stream without its storage", torchStream(object), "lacks the storage '0'"],
    ["another pickle", pickle(int(5)), "is a pickle, but not one of torch.save"],
    ["another version of the stream", bytesOf(stream.subarray(0, 15), pickle(int(1002))), "expected version 1001"],
    ["nothing after the stream's magic number", stream.subarray(0, 15), "it is cut off at byte 15"],
  ])("%s", async (_, bytes, message) => {
    const error = await failure(open(bytes));
    expect(error).toMatch(/^WebldmError: model\.ckpt: /);
    expect(error).toContain(message);
  });

  const evil = call(global("posix", "system"), text("true"));
  it.each<[string, Uint8Array]>([
    ["an archive", torchArchive(dict({ state_dict: dict({ w, x: evil }) }), { "0": ramp })],
    ["an archive that lacks all the rest", zip({ "data.pkl": pickle(evil) })],
    ["the stream", torchStream(dict({ state_dict: dict({ w }), x: evil }), { "0": [24, ramp] })],
    ["the first pickle of the stream", pickle(evil)],
    ["a stream that ends after the name", bytesOf("\x80\x02", global("posix", "system"))],
  ])("a name that is not data refuses %s", async (_, bytes) => {
    const message = "model.ckpt: refused: the pickle asks for posix.system, which is not data";
    expect(await failure(open(bytes))).toBe(`WebldmError: ${message}`);
  });

  it("give an error of ours or tensors, whatever becomes of their bytes", { timeout: 60_000 }, async () => {
    const next = seeded(7);
    const random = (n: number) => Math.floor(next() * n);
    const files = ["pickle_zip.ckpt", "pickle_legacy.ckpt"].map(golden);
    let opened = 0;
    for (let i = 0; i < 2000; i++) {
      const whole = files[i % 2]!;
      const bytes = i % 4 < 2 ? whole.slice(0, random(whole.length)) : whole.slice();
      if (i % 4 >= 2) for (let k = 0; k <= i % 5; k++) bytes[random(bytes.length)]! ^= 1 << random(8);
      try {
        const { tensors } = await openWeights(fromBytes(bytes, "model.ckpt"));
        opened++;
        for (const { source, begin, end } of tensors.values()) {
          await source.read(begin, Math.min(end, begin + 4096));
        }
      } catch (error) {
        expect(error, `case ${i}`).toBeInstanceOf(WebldmError);
        expect((error as Error).message).toMatch(/^model\.ckpt: [^\n]{1,600}$/);
      }
    }
    expect(opened).toBeGreaterThan(100); // a changed number is no error
    expect(opened).toBeLessThan(1900);
  });
});

describe("a file of weights", () => {
  it("is what its bytes say", async () => {
    const tensor = { dtype: "F32", shape: [24], bytes: ramp } as const;
    const formats: [string, Uint8Array, string][] = [
      ["a.bin", writeSafetensors([{ name: "w", ...tensor }]), "safetensors"],
      ["a.safetensors", torchZip({ w: tensor }, { epoch: int(3) }), "torch"],
      [
        "a.safetensors",
        torchStream(dict({ w: tensorCall("0", { total: 24, shape: [24] }) }), { "0": [24, ramp] }),
        "torch",
      ],
    ];
    for (const [name, bytes, format] of formats) {
      const weights = await openWeights(fromBytes(bytes, name));
      expect(weights.format).toBe(format);
      expect(await contentOf(weights.tensors.get("w")!)).toEqual([...ramp]);
    }
  });

  it("may have a header whose length begins as pickles do", async () => {
    const header = `{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`.padEnd(0x0280);
    expect((await openWeights(fromBytes(bytesOf(u64(0x0280), header, 1)))).format).toBe("safetensors");
  });

  it("is told from others by both formats that were tried", async () => {
    expect(await failure(openWeights(fromBytes(new TextEncoder().encode("<!doctype html>"), "x.ckpt")))).toMatch(
      /^WebldmError: x\.ckpt: neither safetensors \(HeaderTooLarge: .*\) nor a checkpoint of torch\.save/,
    );
    expect(await failure(openWeights(fromBytes(new Uint8Array(0), "x.ckpt")))).toContain("HeaderTooSmall");
    expect(await failure(openWeights(fromBytes(sampleFile().subarray(0, 900), "x.ckpt")))).toMatch(
      /^WebldmError: x\.ckpt: MetadataIncompleteBuffer: /,
    );
  });
});
