// Every number of a checkpoint of the original code lands in its translation exactly once.
import { describe, expect, it } from "vitest";
import { sizeOf } from "../../../src/core/shape.js";
import { splitQkv } from "../../../src/pipeline/compvis/qkv.js";
import { translateFirstStage, translateUNet } from "../../../src/pipeline/compvis/translate.js";
import { toFloat32 } from "../../../src/weights/decode.js";
import type { StoredTensor } from "../../../src/weights/safetensors.js";
import {
  counted,
  countOf,
  firstStageShapes,
  floats,
  type OriginalFirstStage,
  type OriginalUNet,
  unetShapes,
} from "./original.js";

const read = async ({ source, begin, end, dtype }: StoredTensor) => toFloat32(await source.read(begin, end), dtype);

async function expectAllOnce(tensors: ReadonlyMap<string, StoredTensor>, total: number): Promise<void> {
  const seen = new Uint8Array(total);
  for (const [name, tensor] of tensors) {
    expect(tensor.name).toBe(name);
    const values = await read(tensor);
    expect(values.length).toBe(sizeOf(tensor.shape));
    for (const value of values) seen[value]!++;
  }
  expect(seen.every((times) => times === 1)).toBe(true);
}

const small = { inChannels: 3, outChannels: 3, modelChannels: 32, multiples: [1, 2], attentionAt: [2] } as const;

const unets: Readonly<Record<string, { readonly unet: OriginalUNet; readonly params: object }>> = {
  "attention blocks, legacy order": {
    unet: { ...small, multiples: [1, 2, 2], resBlocks: 1, attentionAt: [1, 4] },
    params: { num_heads: 4 },
  },
  "attention blocks, new order": {
    unet: { ...small, resBlocks: 3 },
    params: { num_head_channels: 16, use_new_attention_order: true },
  },
  "residual blocks that resample, scale and shift, labels": {
    unet: { ...small, resample: "resnet", scaleShift: true, labels: 7 },
    params: { num_heads: 2, resblock_updown: true },
  },
  "attention in the middle only": { unet: { ...small, attentionAt: [] }, params: { num_heads: 1 } },
  "transformers of two blocks": {
    unet: { ...small, inChannels: 9, resBlocks: 1, context: 24, depth: 2 },
    params: { num_heads: 8, legacy: false },
  },
  "linear projections, attention to the context alone": {
    unet: { ...small, attentionAt: [1, 2], resBlocks: 1, context: 40, linear: true, crossOnly: [true, false] },
    params: { num_head_channels: 16 },
  },
  "a single level": { unet: { ...small, multiples: [1], attentionAt: [1] }, params: { num_heads: 2 } },
};

const yaml = ({ inChannels, outChannels, modelChannels, multiples, resBlocks = 2 }: OriginalUNet, params: object) => ({
  target: "ldm.modules.diffusionmodules.openaimodel.UNetModel",
  params: {
    in_channels: inChannels,
    out_channels: outChannels,
    model_channels: modelChannels,
    channel_mult: multiples,
    num_res_blocks: resBlocks,
    image_size: 16,
    ...params,
  },
});

describe.each(Object.entries(unets))("UNet with %s", (_name, { unet, params }) => {
  it("lands once, to the last number", async () => {
    const shapes = unetShapes(unet);
    const { config, tensors } = translateUNet(counted(shapes), yaml(unet, params));
    expect(config["sample_size"]).toBe(16);
    await expectAllOnce(tensors, countOf(shapes.values()));
  });
});

const stages: Readonly<Record<string, OriginalFirstStage>> = {
  "a codebook and attention at two levels": {
    latent: 3,
    codes: 12,
    width: 32,
    multiples: [1, 2, 2],
    resBlocks: 1,
    attends: [1, 2],
  },
  "moments, no attention at all": { latent: 4, width: 32, multiples: [1, 1], midAttention: false },
  "a single level": { latent: 2, width: 32, multiples: [2], resBlocks: 1 },
};

describe.each(Object.entries(stages))("first stage with %s", (_name, stage) => {
  it("lands once, to the last number", async () => {
    const shapes = firstStageShapes(stage);
    const { tensors } = await translateFirstStage(counted(shapes));
    await expectAllOnce(tensors, countOf(shapes.values()));
  });
});

describe("joined queries, keys and values", () => {
  const [heads, width, inner] = [3, 2, 5];
  const channels = heads * width;
  const values = Float32Array.from({ length: 3 * channels * inner }, (_, i) => i);

  it.each([
    // Row of head h, channel c, of part p (0 query, 1 key, 2 value).
    ["legacy", false, (p: number, h: number, c: number) => h * 3 * width + p * width + c],
    ["new", true, (p: number, h: number, c: number) => p * channels + h * width + c],
  ])("are taken apart in the %s order", async (_order, newOrder, row) => {
    for (const shape of [[3 * channels, inner, 1], [3 * channels]]) {
      const size = shape[1] ?? 1;
      const split = splitQkv(floats("qkv", shape, values.slice(0, 3 * channels * size)), heads, newOrder);
      for (const [p, { part, tensor }] of split.entries()) {
        const expected: number[] = [];
        for (let h = 0; h < heads; h++) {
          for (let c = 0; c < width; c++) {
            for (let i = 0; i < size; i++) expected.push(row(p, h, c) * size + i);
          }
        }
        expect(part).toBe("qkv"[p]);
        expect(tensor.shape).toEqual([channels, ...shape.slice(1)]);
        expect([...(await read(tensor))]).toEqual(expected);
      }
    }
  });

  it("must split into the heads", () => {
    expect(() => splitQkv(floats("qkv.weight", [18, 1], values.slice(0, 18)), 4, false)).toThrow(/4 heads/);
  });
});
