import { describe, expect, it } from "vitest";
import { loadOrder } from "../../src/weights/loadOrder.js";
import { openSafetensors, type StoredTensor } from "../../src/weights/safetensors.js";
import { planShards, type SizedTensor } from "../../src/weights/shards.js";
import { fromBytes } from "../../src/weights/source.js";
import { streamSafetensors } from "../../src/weights/writer.js";
import { failure, sampleFile, sampleTensors } from "./tiny.js";

/** The file that the pieces make; every byte must come once. */
async function assembled(pieces: AsyncIterable<{ position: number; bytes: Uint8Array }>): Promise<Uint8Array> {
  const all: { position: number; bytes: Uint8Array }[] = [];
  for await (const { position, bytes } of pieces) all.push({ position, bytes: bytes.slice() });
  all.sort((a, b) => a.position - b.position || a.bytes.length - b.bytes.length);
  const out: number[] = [];
  for (const { position, bytes } of all) {
    expect(position).toBe(out.length);
    out.push(...bytes);
  }
  return Uint8Array.from(out);
}

const contentOf = async ({ source, begin, end }: StoredTensor) => [...(await source.read(begin, end))];

describe("a file that is written in pieces", () => {
  it.each([16, 100, 4096, undefined])("holds the same tensors, in pieces of %s", async (pieceBytes) => {
    const { tensors } = await openSafetensors(fromBytes(sampleFile()));
    const reversed = new Map([...tensors].reverse());
    const options = { metadata: { key: "value" }, ...(pieceBytes ? { pieceBytes } : {}) };
    const copy = await openSafetensors(fromBytes(await assembled(streamSafetensors(reversed, options))));
    expect([...copy.metadata]).toEqual([["key", "value"]]);
    for (const { name, dtype, shape, bytes } of sampleTensors()) {
      const tensor = copy.tensors.get(name)!;
      expect(tensor).toMatchObject({ dtype, shape });
      expect(await contentOf(tensor)).toEqual([...bytes]);
    }
    // The order is the one given, but that empty tensors share their place with the next.
    const named = (names: Iterable<string>) => [...names].filter((name) => name !== "empty");
    expect(named(copy.tensors.keys())).toEqual(named(reversed.keys()));
  });

  it.each([16, 4096])("holds converted tensors, in pieces of %s", async (pieceBytes) => {
    const source = fromBytes(new Uint8Array(Float32Array.from({ length: 100 }, (_, i) => i / 8).buffer));
    const tensor: StoredTensor = { name: "stored", dtype: "F32", shape: [100], source, begin: 0, end: 400 };
    const tensors = new Map([
      ["a", tensor],
      ["again", tensor],
    ]);
    const bytes = await assembled(streamSafetensors(tensors, { dtype: "F16", pieceBytes }));
    const copy = (await openSafetensors(fromBytes(bytes))).tensors;
    const expected = new Uint8Array(Uint16Array.from({ length: 100 }, (_, i) => halfBits(i / 8)).buffer);
    for (const name of ["a", "again"]) {
      expect(copy.get(name)).toMatchObject({ dtype: "F16", shape: [100] });
      expect(await contentOf(copy.get(name)!)).toEqual([...expected]);
    }
  });

  it("breaks off where a number does not fit", async () => {
    const source = fromBytes(new Uint8Array(Float32Array.of(1, 1e6).buffer));
    const tensor: StoredTensor = { name: "w", dtype: "F32", shape: [2], source, begin: 0, end: 8 };
    const run = assembled(streamSafetensors(new Map([["w", tensor]]), { dtype: "F16" }));
    expect(await failure(run)).toContain("tensor 'w' holds 1000000, which is beyond the range of F16");
  });
});

/** Exact for what these tests need: multiples of 1/8 below 16. */
function halfBits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(value));
  return ((exponent + 15) << 10) | ((value / 2 ** exponent - 1) * 1024);
}

describe("shards", () => {
  const tensor = (name: string, bytes: number): SizedTensor => ({ name, dtype: "U8", shape: [bytes], bytes });
  const files = (sizes: readonly number[], largest: number) =>
    planShards(
      sizes.map((bytes, i) => tensor(`t${i}`, bytes)),
      "model",
      largest,
    );

  it("are one file without an index where all fits", () => {
    expect(files([100, 100], 1e6)).toEqual({ shards: [{ file: "model.safetensors", names: ["t0", "t1"] }] });
    expect(files([], 1e6)).toEqual({ shards: [] });
  });

  it("are filled in order, and listed in an index", () => {
    const { shards, index } = files([3000, 3000, 3000, 50_000, 100], 8000);
    expect(shards).toEqual([
      { file: "model-00001-of-00004.safetensors", names: ["t0", "t1"] },
      { file: "model-00002-of-00004.safetensors", names: ["t2"] },
      { file: "model-00003-of-00004.safetensors", names: ["t3"] },
      { file: "model-00004-of-00004.safetensors", names: ["t4"] },
    ]);
    expect(index).toMatchObject({
      file: "model.safetensors.index.json",
      json: { metadata: { total_size: 59_100 }, weight_map: { t0: shards[0]!.file, t4: shards[3]!.file } },
    });
  });

  it("never exceed the size with their headers, unless by a single tensor", async () => {
    const source = fromBytes(new Uint8Array(2000));
    const stored = Array.from({ length: 200 }, (_, i): StoredTensor => {
      const size = (i * 37) % 500;
      return {
        name: `layer.${i}.${"x".repeat(i % 90)}`,
        dtype: "U8",
        shape: [1, size],
        source,
        begin: 7,
        end: 7 + size,
      };
    });
    const sized = stored.map((one) => ({ ...one, bytes: one.end - one.begin }));
    const metadata = { note: "é".repeat(300) };
    const { shards } = planShards(sized, "model", 4000, metadata);
    expect(shards.flatMap(({ names }) => names)).toEqual(stored.map(({ name }) => name));
    expect(shards.length).toBeLessThan(40);
    for (const { names } of shards) {
      const tensors = new Map(stored.filter(({ name }) => names.includes(name)).map((one) => [one.name, one]));
      expect((await assembled(streamSafetensors(tensors, { metadata }))).length).toBeLessThanOrEqual(4000);
    }
  });
});

describe("load order", () => {
  it.each<[string, string[]]>([
    [
      "a UNet",
      [
        "conv_in.weight",
        "time_embedding.linear_1.weight",
        "down_blocks.0.resnets.0.conv1.bias",
        "down_blocks.0.resnets.0.conv1.weight",
        "down_blocks.2.a",
        "down_blocks.10.a",
        "mid_block.a",
        "up_blocks.0.a",
        "conv_norm_out.bias",
        "conv_out.weight",
      ],
    ],
    [
      "an autoencoder",
      [
        "post_quant_conv.weight",
        "quantize.embedding.weight",
        "decoder.conv_in.weight",
        "decoder.mid_block.a",
        "decoder.up_blocks.1.a",
        "decoder.conv_out.weight",
        "encoder.conv_in.weight",
        "encoder.down_blocks.1.a",
        "encoder.mid_block.a",
        "quant_conv.weight",
      ],
    ],
    [
      "a text encoder",
      [
        "text_model.embeddings.token_embedding.weight",
        "text_model.encoder.layers.2.a",
        "text_model.encoder.layers.11.a",
        "text_model.final_layer_norm.bias",
        "text_projection.weight",
      ],
    ],
    ["names of any kind", ["a", "a.b", "a.b.2", "a.b.02x", "b"]],
  ])("of %s", (_, names) => {
    const sorted = [...names].sort();
    expect(loadOrder(sorted)).toEqual(names);
    expect(loadOrder(sorted.reverse())).toEqual(names);
  });
});
