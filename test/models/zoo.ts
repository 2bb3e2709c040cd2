// The UNets of the paper's published models and of Stable Diffusion 1 and 2, as the config.json of diffusers describes
// them (with lists where diffusers' UNet2DModel knows one number only: the channels of a head by level).

/** A network of the model zoo. */
export interface ZooEntry {
  readonly json: Readonly<Record<string, unknown>>;
  readonly parameters: number;
  /** Tensors in the original checkpoint. */
  readonly tensors: number;
  /**
   * AttentionBlocks, in which the original keeps query, key and value in one tensor: norm, qkv, proj_out are six tensors
   * there, and group_norm, to_q, to_k, to_v, to_out.0 ten here.
   */
  readonly attentionBlocks?: number;
}

/** Block types of the way down, and their mirror for the way up; `attends` from the highest resolution on. */
function blocks(attends: readonly boolean[], attending: "Attn" | "CrossAttn", resnet = false) {
  const plain = resnet ? { down: "ResnetDownsample", up: "ResnetUpsample" } : { down: "Down", up: "Up" };
  return {
    down_block_types: attends.map((on) => `${on ? `${attending}Down` : plain.down}Block2D`),
    up_block_types: attends.map((on) => `${on ? `${attending}Up` : plain.up}Block2D`).reverse(),
    ...(resnet ? { downsample_type: "resnet", upsample_type: "resnet" } : {}),
  };
}

const unconditional = { _class_name: "UNet2DModel", layers_per_block: 2, freq_shift: 0, flip_sin_to_cos: true };
const conditional = { _class_name: "UNet2DConditionModel", layers_per_block: 2 };

const faces = {
  ...unconditional,
  sample_size: 64,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [224, 448, 672, 896],
  attention_head_dim: 32,
  ...blocks([false, true, true, true], "Attn"),
};

const text2img = {
  ...conditional,
  sample_size: 64,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [192, 384, 576, 960],
  ...blocks([false, true, true, true], "CrossAttn"),
};

const semantic = {
  ...unconditional,
  sample_size: 64,
  in_channels: 6,
  out_channels: 3,
  block_out_channels: [128, 512, 1024],
  attention_head_dim: [16, 64, 128],
  ...blocks([false, false, false], "Attn"),
};

const stableDiffusion1 = {
  ...conditional,
  sample_size: 64,
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [320, 640, 1280, 1280],
  attention_head_dim: 8,
  cross_attention_dim: 768,
  ...blocks([true, true, true, false], "CrossAttn"),
};

const stableDiffusion2 = {
  ...stableDiffusion1,
  attention_head_dim: [5, 10, 20, 20],
  cross_attention_dim: 1024,
  use_linear_projection: true,
};

export const zoo = {
  "celeba256, ffhq256, lsun_beds256": {
    json: faces,
    parameters: 274_056_163,
    tensors: 368,
    attentionBlocks: 16,
  },
  lsun_churches256: {
    json: {
      ...unconditional,
      sample_size: 32,
      in_channels: 4,
      out_channels: 4,
      block_out_channels: [192, 384, 384, 768, 768],
      attention_head_dim: [24, 48, 48, 96, 96],
      attn_norm_num_groups: 32,
      resnet_time_scale_shift: "scale_shift",
      ...blocks([true, true, true, true, false], "Attn", true),
    },
    parameters: 294_966_916,
    tensors: 520,
    attentionBlocks: 21,
  },
  cin256: {
    json: {
      ...conditional,
      sample_size: 32,
      in_channels: 4,
      out_channels: 4,
      block_out_channels: [256, 512, 1024],
      attention_head_dim: [8, 16, 32],
      cross_attention_dim: 512,
      ...blocks([true, true, true], "CrossAttn"),
    },
    parameters: 394_984_196,
    tensors: 626,
  },
  "cin256-v2": {
    json: { ...text2img, attention_head_dim: 1, cross_attention_dim: 512 },
    parameters: 400_920_579,
    tensors: 688,
  },
  text2img256: {
    json: { ...text2img, attention_head_dim: [6, 12, 18, 30], cross_attention_dim: 640 },
    parameters: 403_623_939,
    tensors: 688,
  },
  "txt2img-1p4B": {
    json: { ...stableDiffusion1, sample_size: 32, cross_attention_dim: 1280 },
    parameters: 872_300_484,
    tensors: 686,
  },
  "layout2img-openimages256": {
    json: {
      ...text2img,
      block_out_channels: [128, 256, 384, 512],
      attention_head_dim: [4, 8, 12, 16],
      transformer_layers_per_block: 3,
      cross_attention_dim: 512,
    },
    parameters: 246_277_379,
    tensors: 1328,
  },
  semantic_synthesis256: { json: semantic, parameters: 215_229_315, tensors: 216, attentionBlocks: 1 },
  semantic_synthesis512: {
    json: { ...semantic, sample_size: 128 },
    parameters: 215_229_315,
    tensors: 216,
    attentionBlocks: 1,
  },
  bsr_sr: {
    json: {
      ...unconditional,
      sample_size: 64,
      in_channels: 6,
      out_channels: 3,
      block_out_channels: [160, 320, 320, 640],
      attention_head_dim: 32,
      ...blocks([false, false, false, true], "Attn"),
    },
    parameters: 113_622_563,
    tensors: 306,
    attentionBlocks: 6,
  },
  inpainting_big: {
    json: {
      ...unconditional,
      sample_size: 64,
      in_channels: 7,
      out_channels: 3,
      block_out_channels: [256, 512, 768, 1024],
      attention_head_dim: [32, 64, 96, 128],
      ...blocks([false, true, true, true], "Attn", true),
    },
    parameters: 387_245_827,
    tensors: 416,
    attentionBlocks: 16,
  },
  "RDM 768": {
    json: {
      ...conditional,
      sample_size: 48,
      in_channels: 16,
      out_channels: 16,
      block_out_channels: [448, 896, 1344, 1792],
      attention_head_dim: [14, 28, 42, 56],
      cross_attention_dim: 768,
      ...blocks([true, true, true, false], "CrossAttn"),
    },
    parameters: 1_335_480_400,
    tensors: 688,
  },
  "Stable Diffusion 1": { json: stableDiffusion1, parameters: 859_520_964, tensors: 686 },
  "Stable Diffusion 1, inpainting": {
    json: { ...stableDiffusion1, in_channels: 9 },
    parameters: 859_535_364,
    tensors: 686,
  },
  "Stable Diffusion 2": { json: stableDiffusion2, parameters: 865_910_724, tensors: 686 },
  "Stable Diffusion 2, inpainting": {
    json: { ...stableDiffusion2, in_channels: 9 },
    parameters: 865_925_124,
    tensors: 686,
  },
  "Stable Diffusion 2, depth": {
    json: { ...stableDiffusion2, in_channels: 5 },
    parameters: 865_913_604,
    tensors: 686,
  },
  "Stable Diffusion x4 upscaler": {
    json: {
      ...conditional,
      sample_size: 128,
      in_channels: 7,
      out_channels: 4,
      block_out_channels: [256, 512, 512, 1024],
      attention_head_dim: 8,
      cross_attention_dim: 1024,
      use_linear_projection: true,
      only_cross_attention: [true, true, true, false],
      num_class_embeds: 1000,
      ...blocks([false, true, true, true], "CrossAttn"),
    },
    parameters: 473_398_020,
    tensors: 687,
  },
} satisfies Readonly<Record<string, ZooEntry>>;
