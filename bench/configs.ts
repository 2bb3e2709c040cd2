import { parseAutoencoderConfig } from "../src/models/autoencoder.js";
import { parseClipConfig } from "../src/models/clip.js";
import { parseUNetConfig } from "../src/models/unetConfig.js";
import type { ModelConfig } from "../src/pipeline/modelConfig.js";
import { parseSchedulerConfig } from "../src/sampling/schedule.js";

/** Stable Diffusion 1.5's published configuration files, without what nobody reads. */
export const stableDiffusion15Files = {
  "text_encoder/config.json": {
    vocab_size: 49408,
    hidden_size: 768,
    intermediate_size: 3072,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    max_position_embeddings: 77,
    hidden_act: "quick_gelu",
  },
  "unet/config.json": {
    in_channels: 4,
    out_channels: 4,
    sample_size: 64,
    block_out_channels: [320, 640, 1280, 1280],
    layers_per_block: 2,
    attention_head_dim: 8,
    cross_attention_dim: 768,
    norm_num_groups: 32,
    down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  },
  "vae/config.json": {
    block_out_channels: [128, 256, 512, 512],
    layers_per_block: 2,
    latent_channels: 4,
    norm_num_groups: 32,
    down_block_types: Array(4).fill("DownEncoderBlock2D"),
    up_block_types: Array(4).fill("UpDecoderBlock2D"),
    scaling_factor: 0.18215,
  },
  "scheduler/scheduler_config.json": {
    beta_schedule: "scaled_linear",
    beta_start: 0.00085,
    beta_end: 0.012,
    clip_sample: false,
    set_alpha_to_one: false,
    steps_offset: 1,
  },
} as const;

/** The configuration files of a model of text in diffusers layout. */
export type ConfigFiles = Readonly<Record<keyof typeof stableDiffusion15Files, unknown>>;

/** The networks that such files describe. */
export const parseConfigFiles = (files: ConfigFiles) =>
  ({
    conditioner: { kind: "clip", config: parseClipConfig(files["text_encoder/config.json"]), prefix: "text_model" },
    unet: parseUNetConfig(files["unet/config.json"]),
    firstStage: parseAutoencoderConfig(files["vae/config.json"]),
    scheduler: parseSchedulerConfig(files["scheduler/scheduler_config.json"]),
    concat: { kind: "none" },
  }) satisfies ModelConfig;

/** Stable Diffusion 1.5 as its published configuration files describe it. */
export const stableDiffusion15 = parseConfigFiles(stableDiffusion15Files);
