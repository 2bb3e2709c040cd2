import { sizeOf } from "../../src/core/shape.js";
import type { Device } from "../../src/gpu/device.js";
import type { GraphOptions } from "../../src/graph/graph.js";
import { type FirstStageConfig, parseFirstStageConfig } from "../../src/models/firstStage.js";
import { decoderRequests, encoderRequests } from "../../src/pipeline/firstStage.js";
import type { WeightBuffers } from "../../src/pipeline/upload.js";
import { channelsLast, pack, random, upload } from "../harness/gpu.js";

const levels = (blocks: readonly string[]) => ({
  block_out_channels: [8, 8, 16].slice(0, blocks.length),
  down_block_types: blocks.map((kind) => `${kind}DownEncoderBlock2D`),
  up_block_types: blocks.toReversed().map((kind) => `${kind}UpDecoderBlock2D`),
  norm_num_groups: 4,
});

/** First stages of every kind, small enough for software adapters. */
export const smallStages: Readonly<Record<"kl" | "vq" | "tiny", FirstStageConfig>> = {
  kl: parseFirstStageConfig({
    ...levels(["", "", "Attn"]),
    _class_name: "AutoencoderKL",
    scaling_factor: 0.3,
    shift_factor: 0.1,
  }),
  vq: parseFirstStageConfig({
    ...levels(["", ""]),
    _class_name: "VQModel",
    latent_channels: 3,
    vq_embed_dim: 2,
    num_vq_embeddings: 50,
    mid_block_add_attention: false,
  }),
  tiny: parseFirstStageConfig({
    _class_name: "AutoencoderTiny",
    encoder_block_out_channels: [8, 8, 8],
    decoder_block_out_channels: [8, 8, 8],
    num_encoder_blocks: [1, 1, 2],
    num_decoder_blocks: [2, 1, 1],
  }),
};

/** Random weights of one half, of a size that keeps activations near 1. */
export function randomWeights(
  device: Device,
  half: "decoder" | "encoder",
  config: FirstStageConfig,
  settings: GraphOptions,
): WeightBuffers {
  const requests = (half === "decoder" ? decoderRequests : encoderRequests)(config, settings);
  const buffers = new Map<string, GPUBuffer>();
  for (const { name, shape, layout, dtype } of requests) {
    const fanIn = sizeOf(shape.slice(1));
    const norm = /norm/.test(name) && name.endsWith("weight");
    const scale = shape.length === 1 ? 0.1 : /embedding/.test(name) ? 1 : fanIn ** -0.5;
    const data = random(name, shape, { scale, mean: norm ? 1 : 0 });
    buffers.set(name, upload(device, name, pack(layout === "conv" ? channelsLast(data).values : data.values, dtype)));
  }
  const dispose = () => {
    for (const buffer of buffers.values()) buffer.destroy();
  };
  return { buffers, bytes: 0, dispose };
}
