// Encoding and decoding in one piece and in tiles. What tiles give is composed here from tiles that are worked on one by
// one, by programs for one piece, and blended in float64.
import { expect, it } from "vitest";
import { ceilDiv, sizeOf } from "../../src/core/shape.js";
import type { Device } from "../../src/gpu/device.js";
import type { GraphOptions } from "../../src/graph/graph.js";
import { downsampling } from "../../src/models/autoencoder.js";
import type { FirstStageConfig } from "../../src/models/firstStage.js";
import { type HalfSize, ImageEncoder, LatentDecoder } from "../../src/pipeline/firstStage.js";
import { graphOptions } from "../../src/plan/options.js";
import { SlotPool } from "../../src/plan/pool.js";
import { type Data, forCases, onDevices, pack, random, upload } from "../harness/gpu.js";
import { blendTiles } from "../ops/blendTiles.js";
import { randomWeights, smallStages } from "./smallStages.js";

/** A device with one first stage on it. */
class Stage {
  readonly pool: SlotPool;
  private readonly trash: { dispose(): void }[] = [];

  constructor(
    readonly device: Device,
    readonly config: FirstStageConfig,
    readonly settings: GraphOptions = graphOptions(device, "f32"),
  ) {
    this.pool = new SlotPool(device);
  }

  async decoder(size: HalfSize): Promise<LatentDecoder> {
    return this.keep(
      await LatentDecoder.compile(this.device, this.config, this.weights("decoder"), this.pool, this.settings, size),
    );
  }

  async encoder(size: HalfSize): Promise<ImageEncoder> {
    return this.keep(
      await ImageEncoder.compile(this.device, this.config, this.weights("encoder"), this.pool, this.settings, size),
    );
  }

  async decode(latent: Data, tile?: number): Promise<{ rgba: Uint8Array; image: Float32Array }> {
    const [images, height, width] = latent.shape as [number, number, number];
    const decoder = await this.decoder({ images, height, width, ...(tile ? { tile } : {}) });
    const rgba = await decoder.decode(this.buffer(latent));
    return { rgba, image: await decoder.readImage() };
  }

  buffer(data: Data): GPUBuffer {
    const buffer = upload(this.device, "latent", pack(data.values, "f32"));
    this.trash.push({ dispose: () => buffer.destroy() });
    return buffer;
  }

  dispose(): void {
    for (const thing of this.trash) thing.dispose();
    this.pool.dispose();
  }

  private weights(half: "decoder" | "encoder") {
    return this.keep(randomWeights(this.device, half, this.config, this.settings));
  }

  private keep<T extends { dispose(): void }>(thing: T): T {
    this.trash.push(thing);
    return thing;
  }
}

/** Part of a picture of a batch, cut off at its edges. */
function part({ shape, values }: Data, image: number, top: number, left: number, side: number): Data {
  const [, height, width, channels] = shape as [number, number, number, number];
  const [rows, columns] = [Math.min(side, height - top), Math.min(side, width - left)];
  const data = new Float32Array(rows * columns * channels);
  for (let y = 0; y < rows; y++) {
    const at = ((image * height + top + y) * width + left) * channels;
    data.set(values.subarray(at, at + columns * channels), y * columns * channels);
  }
  return { shape: [1, rows, columns, channels], values: data };
}

/** Applies `work` to the tiles of every picture of a batch and blends what it gives. */
async function composed(
  x: Data,
  side: number,
  step: number,
  [outSide, outStep]: readonly [number, number],
  work: (tile: Data) => Promise<Data>,
): Promise<number[]> {
  const [images, height, width] = x.shape as [number, number, number];
  const result: number[] = [];
  for (let image = 0; image < images; image++) {
    const rows: Data[][] = [];
    for (let i = 0; i < ceilDiv(height, step); i++) {
      const row: Data[] = [];
      for (let j = 0; j < ceilDiv(width, step); j++) row.push(await work(part(x, image, i * step, j * step, side)));
      rows.push(row);
    }
    result.push(...blendTiles(rows, outSide, outStep).values);
  }
  return result;
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < b.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};

const cases: readonly {
  kind: keyof typeof smallStages;
  images: number;
  height: number;
  width: number;
  tile: number;
}[] = [
  { kind: "kl", images: 1, height: 12, width: 12, tile: 8 },
  { kind: "kl", images: 2, height: 13, width: 7, tile: 4 },
  { kind: "vq", images: 1, height: 11, width: 14, tile: 8 },
  { kind: "tiny", images: 1, height: 4, width: 15, tile: 8 },
];

onDevices("first stage", ({ device }) => {
  for (const { kind, images, height, width, tile } of cases) {
    const config = smallStages[kind];
    const factor = downsampling(config);
    const step = (tile / 4) * 3;
    const title = `${kind}, ${images} x ${height} x ${width} in tiles of ${tile}`;

    it(`decodes ${title}`, async () => {
      const stage = new Stage(device(), config);
      try {
        const latent = random("latent", [images, height, width, config.latentChannels]);
        const tiled = await stage.decode(latent, tile);
        const expected = await composed(latent, tile, step, [tile * factor, step * factor], async (part) => {
          const [, h, w] = part.shape as [number, number, number];
          const { image } = await stage.decode(part);
          return { shape: [1, h * factor, w * factor, 3], values: Float32Array.from(image) };
        });
        expect(worst(tiled.image, expected)).toBeLessThan(1e-5);
        expect(tiled.rgba.length).toBe((expected.length / 3) * 4);
        // RGBA is what the values round to, and tiles are another thing than one piece.
        const level = (value: number) => 255 * Math.min(Math.max((value + 1) / 2, 0), 1);
        for (const [i, value] of tiled.image.entries()) {
          const byte = tiled.rgba[Math.floor(i / 3) * 4 + (i % 3)]!;
          expect(Math.abs(byte - level(value))).toBeLessThanOrEqual(0.5 + 1e-4);
        }
        expect(worst((await stage.decode(latent)).image, expected)).toBeGreaterThan(1e-2);
      } finally {
        stage.dispose();
      }
    });

    it(`encodes ${title}`, async () => {
      const stage = new Stage(device(), config);
      try {
        const image = random("image", [images, height * factor, width * factor, 3], { scale: 0.5 });
        const size = { images, height: height * factor, width: width * factor };
        const tiled = await stage.encoder({ ...size, tile });
        tiled.encode(image.values);
        const expected = await composed(image, tile * factor, step * factor, [tile, step], async (part) => {
          const [, h, w] = part.shape as [number, number, number];
          const encoder = await stage.encoder({ images: 1, height: h, width: w });
          encoder.encode(part.values);
          const shape = [1, h / factor, w / factor, config.latentChannels];
          return { shape, values: Float32Array.from(await encoder.readLatent()) };
        });
        expect(worst(await tiled.readLatent(), expected)).toBeLessThan(1e-5);
        const whole = await stage.encoder(size);
        whole.encode(image.values);
        expect(worst(await whole.readLatent(), expected)).toBeGreaterThan(1e-3);
      } finally {
        stage.dispose();
      }
    });
  }

  it("gives the same to the bit where one tile covers the picture", async () => {
    for (const config of Object.values(smallStages)) {
      const stage = new Stage(device(), config);
      const latent = random("latent", [1, 8, 6, config.latentChannels]);
      const whole = await stage.decode(latent);
      const tiled = await stage.decode(latent, 8);
      expect([...tiled.image]).toEqual([...whole.image]);
      expect([...tiled.rgba]).toEqual([...whole.rgba]);
      // In a batch each picture is a tile of its own.
      const two = {
        shape: [2, 8, 6, config.latentChannels],
        values: Float32Array.of(...latent.values, ...latent.values),
      };
      const batch = await stage.decode(two, 12);
      expect([...batch.image]).toEqual([...whole.image, ...whole.image]);
      expect([...batch.rgba]).toEqual([...whole.rgba, ...whole.rgba]);
      stage.dispose();
    }
  });

  it("keeps RGBA alone where values exceed a binding", async () => {
    const config = smallStages.vq;
    const whole = new Stage(device(), config);
    const latent = random("latent", [1, 24, 24, config.latentChannels]);
    const { rgba } = await whole.decode(latent, 8);
    const size = { images: 1, height: 24, width: 24, tile: 8 };
    const narrow = new Stage(device(), config, { ...graphOptions(device(), "f32"), maxBinding: 48 * 48 * 8 });
    const decoder = await narrow.decoder(size);
    expect([...(await decoder.decode(narrow.buffer(latent)))]).toEqual([...rgba]);
    await expect(decoder.readImage()).rejects.toThrow(/of pictures \[1, 48, 48\] only RGBA is kept/);
    whole.dispose();
    narrow.dispose();
  });

  it("samples from the distribution of a KL first stage, with and without scaling", async () => {
    const config = smallStages.kl;
    const stage = new Stage(device(), config);
    const shape = [1, 3, 2, config.latentChannels];
    const image = random("image", [1, 12, 8, 3], { scale: 0.5 }).values;
    const encoder = await stage.encoder({ images: 1, height: 12, width: 8 });
    const encoded = async (options?: Parameters<ImageEncoder["encode"]>[1]) => {
      encoder.encode(image, options);
      return encoder.readLatent();
    };
    const noise = random("noise", shape).values;
    const [mean, raw] = [await encoded(), await encoded({ scaled: false })];
    const sample = await encoded({ noise, scaled: false });
    const twice = await encoded({ noise: noise.map((value) => 2 * value), scaled: false });
    expect(
      worst(
        mean,
        raw.map((value) => (value - 0.1) * 0.3),
      ),
    ).toBeLessThan(1e-6);
    expect(worst(sample, raw)).toBeGreaterThan(0.1);
    expect(
      worst(
        twice.map((value, i) => value - raw[i]!),
        sample.map((value, i) => 2 * (value - raw[i]!)),
      ),
    ).toBeLessThan(1e-5);
    expect([...(await encoded())]).toEqual([...mean]); // noise of a call before leaves nothing behind
    expect(() => encoder.encode(image.subarray(3))).toThrow(/image has 285 values, expected \[1, 12, 8, 3\]/);
    expect(() => encoder.encode(image, { noise: noise.subarray(1) })).toThrow(/noise has 23 values/);
    stage.dispose();
  });

  it("undoes the scaling before it decodes", async () => {
    const stage = new Stage(device(), smallStages.kl);
    const plain = new Stage(device(), { ...smallStages.kl, scalingFactor: 1, shiftFactor: 0 });
    const latent = random("latent", [1, 9, 9, 4]);
    const raw = { shape: latent.shape, values: latent.values.map((value) => value / 0.3 + 0.1) };
    for (const tile of [undefined, 8]) {
      const [a, b] = [await stage.decode(latent, tile), await plain.decode(raw, tile)];
      expect(worst(a.image, b.image)).toBeLessThan(1e-5);
    }
    stage.dispose();
    plain.dispose();
  });

  it("refuses what does not fit", async () => {
    const stage = new Stage(device(), smallStages.vq);
    await expect(stage.encoder({ images: 1, height: 9, width: 8 })).rejects.toThrow(/8 x 9, expected multiples of 2/);
    await expect(stage.decoder({ images: 1, height: 8, width: 8, tile: 6 })).rejects.toThrow(/multiple of 4, got 6/);
    const encoder = await stage.encoder({ images: 1, height: 8, width: 8 });
    const noise = new Float32Array(sizeOf([1, 4, 4, 2]));
    expect(() => encoder.encode(new Float32Array(192), { noise })).toThrow(/encodes to no distribution/);
    stage.dispose();
  });
});

forCases(
  "first stage",
  Object.keys(smallStages) as (keyof typeof smallStages)[],
  (kind) => `${kind} decodes what it encoded, whole and in tiles`,
  async ({ device, dtype, item: kind }) => {
    if (dtype === "u32") return;
    const stage = new Stage(device, smallStages[kind], graphOptions(device, dtype));
    const factor = downsampling(stage.config);
    const size = { images: 1, height: 9, width: 10 };
    const encoder = await stage.encoder({ images: 1, height: 9 * factor, width: 10 * factor, tile: 8 });
    encoder.encode(random("image", [1, 9 * factor, 10 * factor, 3]).values);
    for (const tile of [undefined, 8]) {
      const decoder = await stage.decoder({ ...size, ...(tile ? { tile } : {}) });
      const rgba = await decoder.decode(encoder.latent); // straight from the device
      const image = await decoder.readImage();
      expect(rgba.length).toBe(90 * factor ** 2 * 4);
      expect(image.every(Number.isFinite)).toBe(true);
      expect(new Set(rgba).size).toBeGreaterThan(20);
    }
    stage.dispose();
  },
);
