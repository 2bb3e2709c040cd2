import { invariant } from "../core/invariant.js";
import { showShape, sizeOf } from "../core/shape.js";
import { ddimSteps } from "../sampling/ddim.js";
import type { SchedulerConfig } from "../sampling/schedule.js";
import type { Picture } from "./picture.js";

/** What a step tells the caller. */
export interface StepInfo {
  /** Steps done, from 1. */
  readonly step: number;
  readonly steps: number;
  /** The timestep that the model was asked at. */
  readonly timestep: number;
  /** Decodes the clean latent that this step predicts: what the picture looks like so far. Costs one decoder pass. */
  preview(): Promise<Picture>;
}

export type NoiseSource = "torch" | "device";

export interface TextToImageRequest {
  /** 1 to 8000 characters; what exceeds the model's window of tokens is cut, with a warning in the result. */
  readonly prompt: string;
  /** What the picture should not show; used when guidance is not 1. */
  readonly negativePrompt?: string;
  /** Denoising steps, 1 to the timesteps of training; 20 by default. */
  readonly steps?: number;
  /** Guidance scale of classifier-free guidance (Ho and Salimans 2022): 1 follows the prompt as trained, more insists on it. */
  readonly guidance?: number;
  /** Integer from 0 to 2^53 - 1; drawn at random when absent. The result tells it. */
  readonly seed?: number;
  /** Pixels; multiples of the model's `sizeMultiple`. The size of training by default. */
  readonly width?: number;
  readonly height?: number;
  /** 0 (default) is deterministic, 1 adds as much noise in each step as DDPM. */
  readonly eta?: number;
  /**
   * Whose noise a seed stands for: "torch" (default) is that of PyTorch's generator on the CPU, so that a seed gives the
   * same picture as there; "device" is made by the GPU (Philox), and no noise crosses over.
   */
  readonly noise?: NoiseSource;
  /** Start noise instead of the seed's: [1, C, H, W] standard normal values in the reference's channel-first order. */
  readonly latents?: Float32Array;
  /** Called after each step; a promise is awaited. */
  readonly onStep?: (info: StepInfo) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

/** A request with every default filled in, and valid. */
export interface Settings {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps: number;
  readonly guidance: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  readonly eta: number;
  readonly noise: NoiseSource;
}

/** What the model says about requests. */
export interface Defaults {
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number;
}

const longestPrompt = 8000;
const largestSide = 4096;

/** What of a checkpoint decides which requests it can fulfil. */
export interface RequestLimits {
  readonly defaults: Defaults;
  readonly sizeMultiple: number;
  readonly config: { readonly scheduler: SchedulerConfig };
}

/** @throws WebldmError that names the field, what was expected and what came. */
export function validate(request: TextToImageRequest, limits: RequestLimits): Settings {
  const { defaults, sizeMultiple: multiple } = limits;
  const { scheduler } = limits.config;
  const { prompt, negativePrompt = "", eta = 0, noise = "torch" } = request;
  const {
    steps = defaults.steps,
    guidance = defaults.guidance,
    width = defaults.width,
    height = defaults.height,
  } = request;
  invariant(typeof prompt === "string", `prompt: expected text, got ${typeof prompt}`);
  invariant(prompt.trim() !== "", `prompt: expected 1 to ${longestPrompt} characters, got an empty prompt`);
  invariant(typeof negativePrompt === "string", `negativePrompt: expected text, got ${negativePrompt}`);
  for (const [name, text] of [
    ["prompt", prompt],
    ["negativePrompt", negativePrompt],
  ] as const) {
    invariant(
      text.length <= longestPrompt,
      `${name}: expected at most ${longestPrompt} characters, got ${text.length}`,
    );
  }
  integer("steps", steps, 1, scheduler.trainSteps);
  finite("guidance", guidance, 0, 100);
  finite("eta", eta, 0, 1);
  for (const [name, side] of [
    ["width", width],
    ["height", height],
  ] as const) {
    const fits = Number.isInteger(side) && side >= multiple && side <= largestSide && side % multiple === 0;
    invariant(fits, `${name}: expected a multiple of ${multiple} from ${multiple} to ${largestSide}, got ${side}`);
  }
  invariant(noise === "torch" || noise === "device", `noise: expected torch or device, got ${noise}`);
  const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
  integer("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  ddimSteps(scheduler, steps, eta); // with an offset, the largest step counts visit timesteps beyond training
  return { prompt, negativePrompt, steps, guidance, seed, width, height, eta, noise };
}

/** Channel-first start noise [1, C, H, W] as the device has it, [1, H, W, C]. */
export function toChannelsLast(
  latents: Float32Array,
  shape: readonly [number, number, number, number],
): Float32Array<ArrayBuffer> {
  const [n, height, width, channels] = shape;
  invariant(latents instanceof Float32Array, "latents: expected a Float32Array");
  invariant(
    latents.length === sizeOf(shape),
    `latents: expected ${sizeOf(shape)} values for ${showShape([n, channels, height, width])}, got ${latents.length}`,
  );
  const out = new Float32Array(latents.length);
  const pixels = height * width;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) out[(i * pixels + p) * channels + c] = latents[(i * channels + c) * pixels + p]!;
    }
  }
  return out;
}

function integer(name: string, value: number, least: number, most: number): void {
  const fits = Number.isInteger(value) && value >= least && value <= most;
  invariant(fits, `${name}: expected an integer from ${least} to ${most}, got ${value}`);
}

function finite(name: string, value: number, least: number, most: number): void {
  const fits = Number.isFinite(value) && value >= least && value <= most;
  invariant(fits, `${name}: expected a number from ${least} to ${most}, got ${value}`);
}
