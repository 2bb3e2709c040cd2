/** A published first stage: its configuration as diffusers would write it, and what its checkpoint holds. */
export interface FirstStageEntry {
  readonly config: Readonly<Record<string, unknown>>;
  /** Pixels per latent pixel along each side. */
  readonly factor: number;
  /** Parameters of the encoder with its 1 x 1 convolution, of the decoder with its own, and of the codebook. */
  readonly parameters: readonly [encoder: number, decoder: number, codebook: number];
  readonly tensors: number;
}

interface Description {
  readonly multipliers: readonly number[];
  readonly latentChannels: number;
  /** Entries of the codebook; KL without. */
  readonly codes?: number;
  /** Levels with attention after each residual block, 0 being the highest resolution. */
  readonly attention?: readonly number[];
  readonly midAttention?: boolean;
}

/** The original configurations share all but what is given here: 128 channels, two residual blocks a level. */
function describe({
  multipliers,
  latentChannels,
  codes,
  attention = [],
  midAttention = true,
}: Description): FirstStageEntry["config"] {
  const kinds = multipliers.map((_, level) => (attention.includes(level) ? "Attn" : ""));
  return {
    _class_name: codes === undefined ? "AutoencoderKL" : "VQModel",
    in_channels: 3,
    out_channels: 3,
    down_block_types: kinds.map((kind) => `${kind}DownEncoderBlock2D`),
    up_block_types: kinds.toReversed().map((kind) => `${kind}UpDecoderBlock2D`),
    block_out_channels: multipliers.map((multiplier) => 128 * multiplier),
    layers_per_block: 2,
    act_fn: "silu",
    norm_num_groups: 32,
    latent_channels: latentChannels,
    mid_block_add_attention: midAttention,
    ...(codes === undefined ? {} : { vq_embed_dim: latentChannels, num_vq_embeddings: codes, norm_type: "group" }),
  };
}

const vqf4 = { multipliers: [1, 2, 4], latentChannels: 3, codes: 8192 };
const vqf8 = { multipliers: [1, 2, 2, 4], latentChannels: 4, attention: [3] };

/** The first stages of the paper's model zoo, the one of Stable Diffusion, and the one of its upscaler. */
export const firstStageZoo: Readonly<Record<string, FirstStageEntry>> = {
  "kl-f4": {
    config: describe({ multipliers: [1, 2, 4], latentChannels: 3 }),
    factor: 4,
    parameters: [22_351_280, 32_960_783, 0],
    tensors: 204,
  },
  "kl-f8": {
    config: describe({ multipliers: [1, 2, 4, 4], latentChannels: 4 }),
    factor: 8,
    parameters: [34_163_664, 49_490_199, 0],
    tensors: 248,
  },
  "kl-f16": {
    config: describe({ multipliers: [1, 1, 2, 2, 4], latentChannels: 16, attention: [4] }),
    factor: 16,
    parameters: [28_266_816, 41_344_147, 0],
    tensors: 342,
  },
  "kl-f32": {
    config: describe({ multipliers: [1, 1, 2, 2, 4, 4], latentChannels: 64, attention: [4, 5] }),
    factor: 32,
    parameters: [42_631_168, 61_248_963, 0],
    tensors: 436,
  },
  "vq-f4": {
    config: describe(vqf4),
    factor: 4,
    parameters: [22_337_423, 32_960_783, 24_576],
    tensors: 205,
  },
  "vq-f4-noattn": {
    config: describe({ ...vqf4, midAttention: false }),
    factor: 4,
    parameters: [21_285_775, 31_909_135, 24_576],
    tensors: 185,
  },
  "vq-f8": {
    config: describe({ ...vqf8, codes: 16384 }),
    factor: 8,
    parameters: [27_397_784, 40_253_975, 65_536],
    tensors: 299,
  },
  "vq-f8-n256": {
    config: describe({ ...vqf8, codes: 256 }),
    factor: 8,
    parameters: [27_397_784, 40_253_975, 1024],
    tensors: 299,
  },
  "vq-f16": {
    config: describe({ multipliers: [1, 1, 2, 2, 4], latentChannels: 8, codes: 16384, attention: [4] }),
    factor: 16,
    parameters: [28_155_216, 41_307_083, 131_072],
    tensors: 343,
  },
  "Stable Diffusion": {
    config: { ...describe({ multipliers: [1, 2, 4, 4], latentChannels: 4 }), scaling_factor: 0.18215 },
    factor: 8,
    parameters: [34_163_664, 49_490_199, 0],
    tensors: 248,
  },
  "Stable Diffusion x4 upscaler": {
    config: { ...describe({ multipliers: [1, 2, 4], latentChannels: 4 }), scaling_factor: 0.08333 },
    factor: 4,
    parameters: [22_360_528, 32_965_399, 0],
    tensors: 204,
  },
};
