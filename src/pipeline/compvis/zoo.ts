import type { UNetLayout } from "./unetLayout.js";

/** Heads of attention, as the original configurations state them: a number of heads, or the channels of one. */
export type HeadRule = { readonly heads: number } | { readonly headChannels: number };

/** A published model: what its weights look like, and what they do not tell. */
export interface ZooEntry {
  readonly name: string;
  /** How to recognise the UNet. */
  readonly looks: {
    readonly modelChannels: number;
    readonly multiples: readonly number[];
    /** Width of the context; absent without transformers. */
    readonly context?: number;
    readonly inChannels: number;
    readonly outChannels: number;
    readonly linear?: boolean;
  };
  readonly rule: HeadRule;
  /** First and last variance of the schedule, whose square roots are evenly spaced. */
  readonly betas: readonly [number, number];
  readonly scaleFactor?: number;
  /** What the UNet was trained to predict; "either" where two models have the same form. */
  readonly prediction: "epsilon" | "v_prediction" | "either";
  /** Side of the training pictures. */
  readonly side: number;
  /** Steps, guidance and eta of the original scripts. */
  readonly sampling: { readonly steps: number; readonly guidance?: number; readonly eta: number };
}

/** How models that are none of those below are sampled unless a request says otherwise. */
export const usualSampling = { steps: 50, guidance: 1, eta: 0 } as const;

const stableDiffusion = {
  rule: { heads: 8 },
  prediction: "epsilon",
  betas: [0.00085, 0.012],
  scaleFactor: 0.18215,
  side: 512,
  sampling: { steps: 50, guidance: 7.5, eta: 0 },
} as const;

const stableDiffusion2 = {
  ...stableDiffusion,
  rule: { headChannels: 64 },
  sampling: { steps: 50, guidance: 9, eta: 0 },
} as const;

const large = { modelChannels: 320, multiples: [1, 2, 4, 4], outChannels: 4 } as const;

/**
 * The models of the paper's repository and Stable Diffusion 1 and 2 (configurations of CompVis/latent-diffusion,
 * CompVis/stable-diffusion and Stability-AI/stablediffusion).
 */
export const zoo: readonly ZooEntry[] = [
  {
    name: "celeba256, ffhq256 or lsun_beds256",
    looks: { modelChannels: 224, multiples: [1, 2, 3, 4], inChannels: 3, outChannels: 3 },
    rule: { headChannels: 32 },
    betas: [0.0015, 0.0195],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 200, eta: 0 },
  },
  {
    name: "lsun_churches256",
    looks: { modelChannels: 192, multiples: [1, 2, 2, 4, 4], inChannels: 4, outChannels: 4 },
    rule: { heads: 8 },
    betas: [0.0015, 0.0155],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 400, eta: 0 },
  },
  {
    name: "cin256",
    looks: { modelChannels: 256, multiples: [1, 2, 4], context: 512, inChannels: 4, outChannels: 4 },
    rule: { headChannels: 32 },
    betas: [0.0015, 0.0195],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 200, eta: 1 },
  },
  {
    name: "cin256-v2",
    looks: { modelChannels: 192, multiples: [1, 2, 3, 5], context: 512, inChannels: 3, outChannels: 3 },
    rule: { heads: 1 },
    betas: [0.0015, 0.0195],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 20, guidance: 3, eta: 0 },
  },
  {
    name: "text2img256",
    looks: { modelChannels: 192, multiples: [1, 2, 3, 5], context: 640, inChannels: 3, outChannels: 3 },
    rule: { headChannels: 32 },
    betas: [0.0015, 0.0195],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 100, eta: 0 },
  },
  {
    name: "txt2img-1p4B",
    looks: { ...large, context: 1280, inChannels: 4 },
    rule: { heads: 8 },
    betas: [0.00085, 0.012],
    prediction: "epsilon",
    scaleFactor: 0.18215,
    side: 256,
    sampling: { steps: 200, guidance: 5, eta: 0 },
  },
  {
    name: "layout2img-openimages256",
    looks: { modelChannels: 128, multiples: [1, 2, 3, 4], context: 512, inChannels: 3, outChannels: 3 },
    rule: { headChannels: 32 },
    betas: [0.0015, 0.0205],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 200, eta: 0 },
  },
  {
    name: "semantic_synthesis256 or semantic_synthesis512",
    looks: { modelChannels: 128, multiples: [1, 4, 8], inChannels: 6, outChannels: 3 },
    rule: { heads: 8 },
    betas: [0.0015, 0.0205],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 200, eta: 0 },
  },
  {
    name: "bsr_sr",
    looks: { modelChannels: 160, multiples: [1, 2, 2, 4], inChannels: 6, outChannels: 3 },
    rule: { headChannels: 32 },
    betas: [0.0015, 0.0155],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 100, eta: 1 },
  },
  {
    name: "inpainting_big",
    looks: { modelChannels: 256, multiples: [1, 2, 3, 4], inChannels: 7, outChannels: 3 },
    rule: { heads: 8 },
    betas: [0.0015, 0.0205],
    prediction: "epsilon",
    side: 256,
    sampling: { steps: 50, eta: 0 },
  },
  {
    name: "retrieval-augmented diffusion 768",
    looks: { modelChannels: 448, multiples: [1, 2, 3, 4], context: 768, inChannels: 16, outChannels: 16 },
    rule: { headChannels: 32 },
    betas: [0.0015, 0.015],
    prediction: "epsilon",
    scaleFactor: 0.22765929,
    side: 768,
    sampling: { steps: 50, guidance: 5, eta: 0 },
  },
  {
    name: "Stable Diffusion 1",
    looks: { ...large, context: 768, inChannels: 4, linear: false },
    ...stableDiffusion,
  },
  {
    name: "Stable Diffusion 1 inpainting",
    looks: { ...large, context: 768, inChannels: 9, linear: false },
    ...stableDiffusion,
  },
  {
    name: "Stable Diffusion 2",
    looks: { ...large, context: 1024, inChannels: 4, linear: true },
    ...stableDiffusion2,
    prediction: "either",
  },
  {
    name: "Stable Diffusion 2 inpainting",
    looks: { ...large, context: 1024, inChannels: 9, linear: true },
    ...stableDiffusion2,
    sampling: { steps: 50, guidance: 7.5, eta: 0 },
  },
  {
    name: "Stable Diffusion 2 depth",
    looks: { ...large, context: 1024, inChannels: 5, linear: true },
    ...stableDiffusion2,
  },
  {
    name: "Stable Diffusion x4 upscaler",
    looks: {
      modelChannels: 256,
      multiples: [1, 2, 2, 4],
      context: 1024,
      inChannels: 7,
      outChannels: 4,
      linear: true,
    },
    rule: { heads: 8 },
    betas: [0.0001, 0.02],
    scaleFactor: 0.08333,
    prediction: "v_prediction",
    side: 512,
    sampling: { steps: 75, guidance: 9, eta: 0 },
  },
];

/** The published model whose UNet has this topology. */
export function recognise(layout: UNetLayout): ZooEntry | undefined {
  const { modelChannels, channels, transformer, inChannels, outChannels } = layout;
  return zoo.find(
    ({ looks }) =>
      looks.modelChannels === modelChannels &&
      looks.multiples.length === channels.length &&
      looks.multiples.every((multiple, level) => multiple * modelChannels === channels[level]) &&
      looks.context === transformer?.contextWidth &&
      (looks.linear ?? false) === (transformer?.linear ?? false) &&
      looks.inChannels === inChannels &&
      looks.outChannels === outChannels,
  );
}
