import { type ConfigFiles, parseConfigFiles, stableDiffusion15Files } from "../configs.js";

/** Every kind of layer of Stable Diffusion 1.5, small enough to try the bench itself on a CPU. */
export const tinyFiles: ConfigFiles = {
  ...stableDiffusion15Files,
  "text_encoder/config.json": {
    vocab_size: 49408,
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 77,
    hidden_act: "quick_gelu",
  },
  "unet/config.json": {
    in_channels: 4,
    out_channels: 4,
    sample_size: 16,
    block_out_channels: [32, 64],
    layers_per_block: 1,
    attention_head_dim: 2,
    cross_attention_dim: 32,
    norm_num_groups: 8,
    down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  },
  "vae/config.json": {
    block_out_channels: [16, 32],
    layers_per_block: 1,
    latent_channels: 4,
    norm_num_groups: 8,
    down_block_types: Array(2).fill("DownEncoderBlock2D"),
    up_block_types: Array(2).fill("UpDecoderBlock2D"),
    scaling_factor: 0.18215,
  },
};

export const tiny = parseConfigFiles(tinyFiles);
