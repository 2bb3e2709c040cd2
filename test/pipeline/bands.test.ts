// A decoder in bands of rows gives the picture of the decoder in one piece: heights that no band divides, batches,
// codebooks, attention above, in every element type.
import { expect, it } from "vitest";
import { type AutoencoderConfig, parseAutoencoderConfig } from "../../src/models/autoencoder.js";
import { type Bands, bandableLevels } from "../../src/models/decoderBands.js";
import { type Division, LatentDecoder } from "../../src/pipeline/firstStage.js";
import { graphOptions } from "../../src/plan/options.js";
import { SlotPool } from "../../src/plan/pool.js";
import { forCases, pack, random, upload } from "../harness/gpu.js";
import { psnr } from "./seededTask.js";
import { randomWeights } from "./smallStages.js";

const stage = (blocks: readonly string[], more: object = {}): AutoencoderConfig =>
  parseAutoencoderConfig({
    _class_name: "AutoencoderKL",
    block_out_channels: [8, 16, 16].slice(0, blocks.length),
    down_block_types: blocks.map((kind) => `${kind}DownEncoderBlock2D`),
    up_block_types: blocks.toReversed().map((kind) => `${kind}UpDecoderBlock2D`),
    norm_num_groups: 4,
    ...more,
  });
const codebook = { _class_name: "VQModel", latent_channels: 3, vq_embed_dim: 3, num_vq_embeddings: 40 };

const cases: readonly {
  name: string;
  config: AutoencoderConfig;
  images?: number;
  side: readonly [number, number];
  bands: Bands;
}[] = [
  { name: "one level", config: stage(["", "", ""]), side: [12, 8], bands: { levels: 1, rows: 16 } },
  { name: "two levels", config: stage(["", "", ""]), side: [12, 16], bands: { levels: 2, rows: 16 } },
  { name: "bands of half a picture", config: stage(["", "", ""]), side: [16, 8], bands: { levels: 2, rows: 32 } },
  { name: "a last band of two rows", config: stage(["", "", ""]), side: [9, 16], bands: { levels: 2, rows: 16 } },
  { name: "one band", config: stage(["", "", ""]), side: [3, 8], bands: { levels: 2, rows: 16 } },
  { name: "a batch", config: stage(["", "", ""]), images: 3, side: [8, 8], bands: { levels: 2, rows: 16 } },
  { name: "below attention", config: stage(["", "Attn", "Attn"]), side: [10, 8], bands: { levels: 1, rows: 16 } },
  { name: "a codebook", config: stage(["", ""], codebook), side: [20, 16], bands: { levels: 1, rows: 16 } },
  {
    name: "one group and more blocks",
    config: stage(["", ""], { norm_num_groups: 1, layers_per_block: 3 }),
    side: [20, 16],
    bands: { levels: 1, rows: 16 },
  },
];

const least = { f32: 105, f16: 55 };

forCases(
  "a decoder in bands",
  cases,
  ({ name }) => name,
  async ({ device, dtype, item }) => {
    const { config, images = 1, side, bands } = item;
    const [height, width] = side;
    const pool = new SlotPool(device);
    const settings = graphOptions(device, dtype as "f32" | "f16");
    const weights = randomWeights(device, "decoder", config, settings);
    const latent = random("latent", [images, height, width, config.latentChannels]);
    const buffer = upload(device, "latent", pack(latent.values, "f32"));
    const decoded = async (how: Division) => {
      const decoder = await LatentDecoder.compile(device, config, weights, pool, settings, {
        images,
        height,
        width,
        ...how,
      });
      const rgba = await decoder.decode(buffer);
      const image = await decoder.readImage();
      decoder.dispose();
      return { rgba, image };
    };
    const [whole, banded] = [
      await decoded({}),
      await decoded({ bands, ...(images > 1 ? { tile: Math.max(...side) } : {}) }),
    ];
    expect(psnr(banded.image, { shape: [], values: Float32Array.from(whole.image) })).toBeGreaterThan(
      least[dtype as "f32" | "f16"],
    );
    expect(banded.rgba.length).toBe(whole.rgba.length);
    for (const [i, byte] of banded.rgba.entries()) {
      if (Math.abs(byte - whole.rgba[i]!) > 1) throw new Error(`byte ${i}: ${byte}, in one piece ${whole.rgba[i]}`);
    }
    for (const thing of [weights, pool]) thing.dispose();
    buffer.destroy();
  },
);

it("end above the first level with attention", () => {
  expect(bandableLevels(stage(["", "", ""]))).toBe(2);
  expect(bandableLevels(stage(["", "Attn", ""]))).toBe(1);
  expect(bandableLevels(stage(["Attn", "", ""]))).toBe(0);
});
