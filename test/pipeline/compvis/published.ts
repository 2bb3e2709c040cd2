// The published models of the original code, with what the reference implementations count and configure.
import type { OriginalFirstStage, OriginalUNet, Shapes } from "./original.js";

const kl = (multiples: readonly number[], latent: number, attends: readonly number[] = []): OriginalFirstStage => ({
  latent,
  multiples,
  attends,
});
const vq = (latent: number, codes: number, multiples: readonly number[], attends: readonly number[] = []) => ({
  ...kl(multiples, latent, attends),
  codes,
});

/** First stages with their number of tensors and parameters. */
export const firstStages: Readonly<
  Record<string, OriginalFirstStage & { readonly counts: readonly [number, number] }>
> = {
  "kl-f4": { ...kl([1, 2, 4], 3), counts: [204, 55_312_063] },
  "kl-f8": { ...kl([1, 2, 4, 4], 4), counts: [248, 83_653_863] },
  "kl-f16": { ...kl([1, 1, 2, 2, 4], 16, [4]), counts: [342, 69_610_963] },
  "kl-f32": { ...kl([1, 1, 2, 2, 4, 4], 64, [4, 5]), counts: [436, 103_880_131] },
  "vq-f4": { ...vq(3, 8192, [1, 2, 4]), counts: [205, 55_322_782] },
  "vq-f4-noattn": { ...vq(3, 8192, [1, 2, 4]), midAttention: false, counts: [185, 53_219_486] },
  "vq-f8": { ...vq(4, 16384, [1, 2, 2, 4], [3]), counts: [299, 67_717_295] },
  "vq-f8-n256": { ...vq(4, 256, [1, 2, 2, 4], [3]), counts: [299, 67_652_783] },
  "vq-f16": { ...vq(8, 16384, [1, 1, 2, 2, 4], [4]), counts: [343, 69_593_371] },
};

const upscalerStage: OriginalFirstStage = kl([1, 2, 4], 4);

/** A text transformer of x-transformers with one layer. */
const bert = (width: number, vocabulary: number, length: number): Shapes => {
  const at = "transformer.attn_layers.layers";
  return new Map<string, readonly number[]>([
    ["transformer.token_emb.weight", [vocabulary, width]],
    ["transformer.pos_emb.emb.weight", [length, width]],
    ...pair(`${at}.0.0`, [width]),
    ...["to_q", "to_k", "to_v"].map((name) => [`${at}.0.1.${name}.weight`, [512, width]] as const),
    ...pair(`${at}.0.1.to_out`, [width, 512]),
    ...pair(`${at}.1.0`, [width]),
    ...pair(`${at}.1.1.net.0.0`, [4 * width, width]),
    ...pair(`${at}.1.1.net.2`, [width, 4 * width]),
    ...pair("transformer.norm", [width]),
    ...pair("transformer.to_logits", [vocabulary, width]),
  ]);
};

const pair = (name: string, shape: readonly number[]) =>
  [
    [`${name}.weight`, shape],
    [`${name}.bias`, shape.slice(0, 1)],
  ] as const;

/** CLIP's text transformer with one layer. */
const clip: Shapes = new Map<string, readonly number[]>([
  ["transformer.text_model.embeddings.position_ids", [1, 77]],
  ["transformer.text_model.embeddings.token_embedding.weight", [49408, 768]],
  ["transformer.text_model.embeddings.position_embedding.weight", [77, 768]],
  ...["k", "v", "q", "out"].flatMap((part) =>
    pair(`transformer.text_model.encoder.layers.0.self_attn.${part}_proj`, [768, 768]),
  ),
  ...["layer_norm1", "layer_norm2"].flatMap((norm) => pair(`transformer.text_model.encoder.layers.0.${norm}`, [768])),
  ...pair("transformer.text_model.encoder.layers.0.mlp.fc1", [3072, 768]),
  ...pair("transformer.text_model.encoder.layers.0.mlp.fc2", [768, 3072]),
  ...pair("transformer.text_model.final_layer_norm", [768]),
]);

/** OpenCLIP's with two blocks. */
const openClip: Shapes = new Map<string, readonly number[]>([
  ["model.positional_embedding", [77, 1024]],
  ["model.text_projection", [1024, 1024]],
  ["model.logit_scale", []],
  ["model.token_embedding.weight", [49408, 1024]],
  ...[0, 1].flatMap((i) => {
    const at = `model.transformer.resblocks.${i}`;
    return [
      [`${at}.attn.in_proj_weight`, [3072, 1024]] as const,
      [`${at}.attn.in_proj_bias`, [3072]] as const,
      ...pair(`${at}.attn.out_proj`, [1024, 1024]),
      ...["ln_1", "ln_2"].flatMap((norm) => pair(`${at}.${norm}`, [1024])),
      ...pair(`${at}.mlp.c_fc`, [4096, 1024]),
      ...pair(`${at}.mlp.c_proj`, [1024, 4096]),
    ];
  }),
  ...pair("model.ln_final", [1024]),
]);

const classes = (n: number): Shapes => new Map([["embedding.weight", [n, 512]]]);
const segments: Shapes = new Map([["channel_mapper.weight", [3, 182, 1, 1]]]);

export interface Published {
  readonly unet: OriginalUNet;
  readonly firstStage: OriginalFirstStage;
  readonly stage?: Shapes;
  /** Parameters and tensors of the UNet. */
  readonly counts: readonly [number, number];
  /** Heads of each level that attends, and of the middle. */
  readonly heads: readonly number[];
  readonly conditioner: string;
  readonly concat: string;
  readonly betas: readonly [number, number];
  readonly scale: number;
  readonly prediction?: string;
  readonly side?: number;
}

const large = { outChannels: 4, modelChannels: 320, multiples: [1, 2, 4, 4], attentionAt: [4, 2, 1] } as const;
const stable = {
  firstStage: firstStages["kl-f8"]!,
  conditioner: "clip",
  betas: [0.00085, 0.012],
  scale: 0.18215,
  side: 512,
} as const;
const sd1 = { ...stable, stage: clip, heads: [8, 8, 8, 8] } as const;
const sd2 = { ...stable, stage: openClip, heads: [5, 10, 20, 20] } as const;
const sd2UNet = { ...large, context: 1024, linear: true } as const;

export const published: Readonly<Record<string, Published>> = {
  "celeba256, ffhq256 or lsun_beds256": {
    unet: { inChannels: 3, outChannels: 3, modelChannels: 224, multiples: [1, 2, 3, 4], attentionAt: [8, 4, 2] },
    firstStage: firstStages["vq-f4"]!,
    counts: [274_056_163, 368],
    heads: [14, 21, 28, 28],
    conditioner: "none",
    concat: "none",
    betas: [0.0015, 0.0195],
    scale: 1,
  },
  lsun_churches256: {
    unet: {
      inChannels: 4,
      outChannels: 4,
      modelChannels: 192,
      multiples: [1, 2, 2, 4, 4],
      attentionAt: [1, 2, 4, 8],
      resample: "resnet",
      scaleShift: true,
    },
    firstStage: firstStages["kl-f8"]!,
    counts: [294_966_916, 520],
    heads: [8, 8, 8, 8, 8],
    conditioner: "none",
    concat: "none",
    betas: [0.0015, 0.0155],
    scale: 1,
  },
  cin256: {
    unet: {
      inChannels: 4,
      outChannels: 4,
      modelChannels: 256,
      multiples: [1, 2, 4],
      attentionAt: [4, 2, 1],
      context: 512,
    },
    firstStage: firstStages["vq-f8"]!,
    stage: classes(1000),
    counts: [394_984_196, 626],
    heads: [8, 16, 32, 32],
    conditioner: "class",
    concat: "none",
    betas: [0.0015, 0.0195],
    scale: 1,
  },
  "cin256-v2": {
    unet: {
      inChannels: 3,
      outChannels: 3,
      modelChannels: 192,
      multiples: [1, 2, 3, 5],
      attentionAt: [8, 4, 2],
      context: 512,
    },
    firstStage: firstStages["vq-f4"]!,
    stage: classes(1001),
    counts: [400_920_579, 688],
    heads: [1, 1, 1, 1],
    conditioner: "class",
    concat: "none",
    betas: [0.0015, 0.0195],
    scale: 1,
  },
  text2img256: {
    unet: {
      inChannels: 3,
      outChannels: 3,
      modelChannels: 192,
      multiples: [1, 2, 3, 5],
      attentionAt: [8, 4, 2],
      context: 640,
    },
    firstStage: firstStages["vq-f4"]!,
    stage: bert(640, 30522, 77),
    counts: [403_623_939, 688],
    heads: [12, 18, 30, 30],
    conditioner: "bert",
    concat: "none",
    betas: [0.0015, 0.0195],
    scale: 1,
  },
  "txt2img-1p4B": {
    unet: { ...large, inChannels: 4, context: 1280 },
    firstStage: firstStages["kl-f8"]!,
    stage: bert(1280, 30522, 77),
    counts: [872_300_484, 686],
    heads: [8, 8, 8, 8],
    conditioner: "bert",
    concat: "none",
    betas: [0.00085, 0.012],
    scale: 0.18215,
  },
  "layout2img-openimages256": {
    unet: {
      inChannels: 3,
      outChannels: 3,
      modelChannels: 128,
      multiples: [1, 2, 3, 4],
      attentionAt: [8, 4, 2],
      context: 512,
      depth: 3,
    },
    firstStage: firstStages["vq-f4"]!,
    stage: bert(512, 8192, 92),
    counts: [246_277_379, 1328],
    heads: [8, 12, 16, 16],
    conditioner: "boxes",
    concat: "none",
    betas: [0.0015, 0.0205],
    scale: 1,
  },
  "semantic_synthesis256 or semantic_synthesis512": {
    unet: { inChannels: 6, outChannels: 3, modelChannels: 128, multiples: [1, 4, 8], attentionAt: [32, 16, 8] },
    firstStage: firstStages["vq-f4"]!,
    stage: segments,
    counts: [215_229_315, 216],
    heads: [8],
    conditioner: "none",
    concat: "segmentation",
    betas: [0.0015, 0.0205],
    scale: 1,
  },
  bsr_sr: {
    unet: { inChannels: 6, outChannels: 3, modelChannels: 160, multiples: [1, 2, 2, 4], attentionAt: [16, 8] },
    firstStage: firstStages["vq-f4"]!,
    counts: [113_622_563, 306],
    heads: [20, 20],
    conditioner: "none",
    concat: "image",
    betas: [0.0015, 0.0155],
    scale: 1,
  },
  inpainting_big: {
    unet: {
      inChannels: 7,
      outChannels: 3,
      modelChannels: 256,
      multiples: [1, 2, 3, 4],
      attentionAt: [8, 4, 2],
      resample: "resnet",
    },
    firstStage: firstStages["vq-f4-noattn"]!,
    counts: [387_245_827, 416],
    heads: [8, 8, 8, 8],
    conditioner: "none",
    concat: "maskedImage",
    betas: [0.0015, 0.0205],
    scale: 1,
  },
  "retrieval-augmented diffusion 768": {
    unet: {
      inChannels: 16,
      outChannels: 16,
      modelChannels: 448,
      multiples: [1, 2, 3, 4],
      attentionAt: [4, 2, 1],
      context: 768,
    },
    firstStage: firstStages["kl-f16"]!,
    counts: [1_335_480_400, 688],
    heads: [14, 28, 42, 56],
    conditioner: "embeddings",
    concat: "none",
    betas: [0.0015, 0.015],
    scale: 0.22765929,
    side: 768,
  },
  "Stable Diffusion 1": {
    unet: { ...large, inChannels: 4, context: 768 },
    ...sd1,
    counts: [859_520_964, 686],
    concat: "none",
  },
  "Stable Diffusion 1 inpainting": {
    unet: { ...large, inChannels: 9, context: 768 },
    ...sd1,
    counts: [859_535_364, 686],
    concat: "inpaint",
  },
  "Stable Diffusion 2": {
    unet: { ...sd2UNet, inChannels: 4 },
    ...sd2,
    counts: [865_910_724, 686],
    concat: "none",
    prediction: "v_prediction",
    side: 768,
  },
  "Stable Diffusion 2 inpainting": {
    unet: { ...sd2UNet, inChannels: 9 },
    ...sd2,
    counts: [865_925_124, 686],
    concat: "inpaint",
  },
  "Stable Diffusion 2 depth": {
    unet: { ...sd2UNet, inChannels: 5 },
    ...sd2,
    counts: [865_913_604, 686],
    concat: "depth",
  },
  "Stable Diffusion x4 upscaler": {
    unet: {
      inChannels: 7,
      outChannels: 4,
      modelChannels: 256,
      multiples: [1, 2, 2, 4],
      attentionAt: [2, 4, 8],
      context: 1024,
      linear: true,
      labels: 1000,
      crossOnly: [true, true, true, false],
    },
    ...sd2,
    firstStage: upscalerStage,
    counts: [473_398_020, 687],
    heads: [8, 8, 8, 8],
    concat: "lowResolution",
    betas: [0.0001, 0.02],
    scale: 0.08333,
    prediction: "v_prediction",
  },
};
