import { invariant } from "../../core/invariant.js";
import { showShape, sizeOf } from "../../core/shape.js";
import { samplerPath } from "../../sampling/sampler.js";
import type { LayoutObject } from "../../text/boxes.js";
import { type Conditioning, contextOf, type EncodedContext, texts } from "../conditioning.js";
import { draw, type Job, type Run } from "../draw.js";
import { latentChannels, latentFactor } from "../modelConfig.js";
import { type Latent, NoiseStream, toChannelsLast } from "../noiseStream.js";
import type { Picture } from "../picture.js";
import type { Programs } from "../programs.js";
import { type SamplingOptions, type SizeOptions, validateSize } from "../request.js";
import { requireConcat } from "./requireConcat.js";

/** What every task that begins with pure noise takes. */
export interface FromNoiseOptions extends SamplingOptions, SizeOptions {
  /** Start noise instead of the seed's: [N, C, H, W] standard normal values in the reference's channel-first order. */
  readonly latents?: Float32Array;
}

/** What text to image takes. */
export interface TextToImageRequest extends FromNoiseOptions {
  /** 1 to 8000 characters; what exceeds the model's window of tokens is cut, with a warning in the result. */
  readonly prompt?: string;
  /** What the picture should not show; used when guidance is not 1. */
  readonly negativePrompt?: string;
  /** A context that was encoded elsewhere, in place of the prompt. */
  readonly context?: EncodedContext;
}

/** What class to image takes. */
export interface ClassToImageRequest extends FromNoiseOptions {
  /** The class, from 0. */
  readonly label: number;
}

/** What layout to image takes. */
export interface LayoutToImageRequest extends FromNoiseOptions {
  /** At most 30 objects and where they are. */
  readonly objects: readonly LayoutObject[];
  /** How many categories there are; only needed to tell attributes of objects. */
  readonly categories?: number;
}

/** What retrieval to image takes. */
export interface RetrievalToImageRequest extends FromNoiseOptions {
  /** CLIP embeddings of a text or of pictures that are like the one wanted; brought to unit length. */
  readonly embeddings: readonly Float32Array[];
}

/** What drawing without a condition takes. */
export type UnconditionalRequest = FromNoiseOptions;

/** Draws pictures from noise under a conditioning: text, class, layout, embeddings or none (paper §4.2 to §4.3). */
export async function fromNoise(
  programs: Programs,
  run: Run,
  request: FromNoiseOptions,
  conditioning: Conditioning,
): Promise<Picture[]> {
  requireConcat(programs, run, ["none"]);
  return draw(programs, jobFromNoise(programs, run, request, conditioning));
}

/** What the denoising loop needs to draw from noise. */
export function jobFromNoise(programs: Programs, run: Run, request: FromNoiseOptions, conditioning: Conditioning): Job {
  const { settings } = run;
  const images = settings.seeds.length;
  const size = validateSize(request, programs.limits);
  const factor = latentFactor(programs.config);
  const [height, width] = [size.height / factor, size.width / factor];
  const noise = new NoiseStream(settings);
  const latent: Latent = [images, height, width, latentChannels(programs.config)];
  return {
    run,
    height,
    width,
    path: samplerPath(settings.scheduler, settings),
    context: contextOf(programs, conditioning, { guidance: settings.guidance, images }),
    noise,
    start: request.latents ? { values: givenLatents(request.latents, latent) } : noise.draw(latent),
    ...texts(conditioning),
  };
}

function givenLatents(latents: Float32Array, shape: Latent): Float32Array<ArrayBuffer> {
  const [n, height, width, channels] = shape;
  invariant(latents instanceof Float32Array, "latents: expected a Float32Array");
  invariant(
    latents.length === sizeOf(shape),
    `latents: expected ${sizeOf(shape)} values for ${showShape([n, channels, height, width])}, got ${latents.length}`,
  );
  invariant(latents.every(Number.isFinite), "latents: expected finite numbers");
  return toChannelsLast(latents, shape);
}
