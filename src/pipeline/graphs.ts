import { Graph, type GraphOptions, type Tensor } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { type AutoencoderConfig, decodeLatent, downsampling } from "../models/autoencoder.js";
import { type ClipConfig, clipText } from "../models/clip.js";
import { unet } from "../models/unet.js";
import type { UNetConfig } from "../models/unetConfig.js";
import { affine } from "../ops/affine.js";
import { ddimStep } from "../ops/ddimStep.js";
import { randn } from "../ops/randn.js";
import { toRgba } from "../ops/toRgba.js";
import type { SchedulerConfig } from "../sampling/schedule.js";

/** The networks and the sampler of one checkpoint. */
export interface ModelConfig {
  readonly text: ClipConfig;
  readonly unet: UNetConfig;
  readonly vae: AutoencoderConfig;
  readonly scheduler: SchedulerConfig;
  /** Where the text model's names begin: "text_model", or "" as the newest files have it. */
  readonly textPrefix: string;
}

/** Everything that changes which program runs. */
export interface Shape {
  readonly width: number;
  readonly height: number;
  /** Pictures at once. */
  readonly images: number;
  /** With classifier-free guidance: the model runs on [unconditional, conditional]. */
  readonly guided: boolean;
  /** Noise in every step (eta > 0): none, made on the device, or handed over by the host. */
  readonly stepNoise: "none" | "device" | "host";
}

/** Prompts of one batch, both halves of guidance included. */
export const promptCount = ({ images, guided }: Shape): number => images * (guided ? 2 : 1);

/** [N, H, W, C] of the latent. */
export function latentShape({ vae }: ModelConfig, { width, height, images }: Shape): [number, number, number, number] {
  const factor = downsampling(vae);
  return [images, height / factor, width / factor, vae.latentChannels];
}

/** Token ids to the context. */
export function textGraph(config: ModelConfig, count: number, settings: GraphOptions) {
  const graph = new Graph(settings);
  const ids = graph.input("token ids", [count, config.text.positions], "u32", "prompt");
  const context = graph.output(clipText(new Scope(graph, config.textPrefix), ids, config.text).last);
  return { graph, ids, context };
}

/** A seed to the first latent. */
export function noiseGraph(config: ModelConfig, shape: Shape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const seed = graph.input("seed", [4], "u32", "step");
  const latent = randn(seed, graph.state("latent", latentShape(config, shape)));
  return { graph, seed, latent };
}

/**
 * One denoising step: UNet, guidance and the sampler's update of the latent. What depends on the prompt alone, the keys
 * and values of cross-attention, lands in the prompt phase.
 */
export function denoiseGraph(config: ModelConfig, shape: Shape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const count = promptCount(shape);
  const { scheduler } = config;
  const latent = graph.state("latent", latentShape(config, shape));
  const context = graph.input("context", [count, config.text.positions, config.text.width], settings.dtype, "prompt");
  const timesteps = graph.input("timesteps", [count], "f32", "step");
  const scalars = graph.input("scalars", [16], "f32", "step");
  const { stepNoise } = shape;
  const seed = stepNoise === "device" ? graph.input("step seed", [4], "u32", "step") : undefined;
  const handed = stepNoise === "host" ? graph.input("step noise", latent.shape, "f32", "step") : undefined;
  const noise: Tensor | undefined = seed ? randn(seed, graph.empty(latent.shape, "f32")) : handed;
  const x = shape.guided ? affine(latent, { repeat: 2 }) : latent;
  const eps = unet(new Scope(graph), x, timesteps, { context }, config.unet);
  const { prediction, clipRange, thresholding } = scheduler;
  const x0 = graph.output(
    ddimStep(latent, eps, scalars, {
      prediction,
      ...(noise ? { noise } : {}),
      ...(clipRange === undefined ? {} : { clipRange }),
      ...(thresholding ? { thresholding } : {}),
    }),
  );
  return { graph, latent, context, timesteps, scalars, seed, handed, x0 };
}

/** A latent, as the denoiser leaves it, to pixels. */
export function decodeGraph(config: ModelConfig, shape: Shape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const latent = graph.input("latent to decode", latentShape(config, shape), "f32", "step");
  const { scalingFactor, shiftFactor } = config.vae;
  const z = affine(latent, { scale: 1 / scalingFactor, shift: shiftFactor });
  const image = graph.output(decodeLatent(new Scope(graph), z, config.vae));
  const rgba = graph.output(toRgba(image));
  return { graph, latent, image, rgba };
}
