import { invariant } from "../core/invariant.js";
import { type SamplerName, samplerNames, samplerOf, samplerPath } from "../sampling/sampler.js";
import type { SchedulerConfig } from "../sampling/schedule.js";
import type { EncodedLatent, NoiseSource, Picture } from "./picture.js";

/** What a step tells the caller. */
export interface StepInfo {
  /** Steps done, from 1. */
  readonly step: number;
  /** Steps there are. */
  readonly steps: number;
  /** The timestep that the model was asked at. */
  readonly timestep: number;
  /**
   * Decodes the clean latent that this step predicts: what the picture looks like so far. Costs one pass of the decoder,
   * or of the small one that the model was loaded with. Of a batch, the first picture.
   */
  preview(): Promise<Picture>;
  /** The clean latent that this step predicts: small, and read at once. Of a batch, the first picture's. From within `onStep`. */
  latent(): Promise<EncodedLatent>;
}

export const spacings = ["leading", "trailing", "linspace", "uniform", "quad"] as const;
/** How timesteps are spread over those of training. */
export type Spacing = (typeof spacings)[number];

/** What every task takes. */
export interface SamplingOptions {
  /** Denoising steps, 1 to the timesteps of training; the model's default when absent. */
  readonly steps?: number;
  /**
   * Guidance scale of classifier-free guidance (Ho and Salimans 2022): 1 follows the condition as trained, more insists, and
   * 0 ignores it, as in the original code. (Stable Diffusion in diffusers takes anything up to 1 for 1.)
   */
  readonly guidance?: number;
  /** Pulls the spread of a guided prediction back to that of the conditional one (Lin et al. 2023, §3.4): 0 (default) to 1. */
  readonly guidanceRescale?: number;
  /** The checkpoint's own by default. */
  readonly sampler?: SamplerName;
  /**
   * How the sampler's timesteps are spread: as diffusers does it (`leading`, `trailing`, `linspace`) or the original code
   * (`uniform`, `quad`). The checkpoint's own by default.
   */
  readonly spacing?: Spacing;
  /** Integer from 0 to 2^53 - 1; drawn at random when absent. The result tells it. */
  readonly seed?: number;
  /** 0 is deterministic, 1 adds as much noise in each step as DDPM; of `ddim` alone. The model's default, mostly 0, when absent. */
  readonly eta?: number;
  /**
   * Whose noise a seed stands for: "torch" (default) is that of PyTorch's generator on the CPU, so that a seed gives the
   * same picture as there; "device" is made by the GPU (Philox), and no noise crosses over.
   */
  readonly noise?: NoiseSource;
  /** Draws so many pictures at once, 1 to 64, with the seeds that follow; the result is then a list. */
  readonly images?: number;
  /**
   * Draws the noise of all pictures of a batch from the one seed, as PyTorch does with one generator, and not each from a
   * seed of its own. Of "torch" noise alone.
   */
  readonly jointNoise?: boolean;
  /**
   * Most bytes that intermediates of the autoencoder may take. Where one piece takes more, the decoder works in bands of rows,
   * which give the same picture; where these take more too, and in the encoder, it works in tiles.
   */
  readonly memoryBudget?: number;
  /** Called after each step; a promise is awaited. */
  readonly onStep?: (info: StepInfo) => void | Promise<void>;
  /** Stops after the step under way; the task rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** A picture, or a list of them where the request names a number of images. */
export type Drawn<R> = R extends { readonly images: number } ? Picture[] : Picture;

/** Sampling options with every default filled in, and valid. */
export interface Settings {
  readonly steps: number;
  readonly guidance: number;
  readonly guidanceRescale: number;
  readonly sampler: SamplerName;
  /** The checkpoint's schedule, with what the request replaces. */
  readonly scheduler: SchedulerConfig;
  readonly seed: number;
  /** One for each picture. */
  readonly seeds: readonly number[];
  readonly eta: number;
  readonly noise: NoiseSource;
  readonly jointNoise: boolean;
  readonly memoryBudget: number | undefined;
}

/** What the model says about requests. */
export interface Defaults {
  /** Pixels: the size of training. */
  readonly width: number;
  /** Pixels: the size of training. */
  readonly height: number;
  /** Denoising steps. */
  readonly steps: number;
  /** Scale of classifier-free guidance. */
  readonly guidance: number;
  /** Noise in each DDIM step. */
  readonly eta: number;
}

export const largestSide = 4096;
const mostImages = 64;

/** What of a checkpoint decides which requests it can fulfil. */
export interface RequestLimits {
  readonly defaults: Defaults;
  readonly sizeMultiple: number;
  readonly config: { readonly scheduler: SchedulerConfig };
}

/** @throws WebldmError that names the field, what was expected and what came. */
export function validate(request: SamplingOptions, { defaults, config }: RequestLimits): Settings {
  const scheduler = spacedAs(config.scheduler, request.spacing);
  const own = samplerOf(scheduler) ?? "ddim";
  const { noise = "torch", jointNoise = false, guidanceRescale = 0, sampler = own, images = 1, memoryBudget } = request;
  const { steps = defaults.steps, guidance = defaults.guidance } = request;
  integer("steps", steps, 1, scheduler.trainSteps);
  finite("guidance", guidance, 0, 100);
  finite("guidanceRescale", guidanceRescale, 0, 1);
  invariant(samplerNames.includes(sampler), `sampler: expected ${samplerNames.join(", ")}, got ${sampler}`);
  const picks = sampler !== "dpm++" && sampler !== "ddpm";
  invariant(request.spacing !== "quad" || picks, `spacing: ${sampler} of the original code has no quad`);
  const eta = request.eta ?? (sampler === "ddim" ? defaults.eta : 0);
  finite("eta", eta, 0, 1);
  invariant(eta === 0 || sampler === "ddim", `eta: ${sampler} takes none, expected 0, got ${eta}`);
  invariant(noise === "torch" || noise === "device", `noise: expected torch or device, got ${noise}`);
  invariant(!jointNoise || noise === "torch", `jointNoise: expected noise of torch, got ${noise}`);
  integer("images", images, 1, mostImages);
  const seed = request.seed ?? Math.floor(Math.random() * 2 ** 32);
  integer("seed", seed, 0, Number.MAX_SAFE_INTEGER - (images - 1));
  if (memoryBudget !== undefined) finite("memoryBudget", memoryBudget, 1, Number.MAX_SAFE_INTEGER);
  // With an offset, the largest step counts visit timesteps beyond training: the path says so before any work is done.
  samplerPath(scheduler, { sampler, steps, eta });
  const seeds = Array.from({ length: images }, (_, i) => (jointNoise ? seed : seed + i));
  return { steps, guidance, guidanceRescale, sampler, scheduler, seed, seeds, eta, noise, jointNoise, memoryBudget };
}

/** The fields change as well: a sampler of another class than the configuration's reads those anew. */
function spacedAs(scheduler: SchedulerConfig, spacing: Spacing | undefined): SchedulerConfig {
  if (spacing === undefined) return scheduler;
  invariant(spacings.includes(spacing), `spacing: expected ${spacings.join(", ")}, got ${spacing}`);
  if (spacing === "uniform" || spacing === "quad") {
    const asked = { convention: "compvis", discretize: spacing } as const;
    return { ...scheduler, ...asked, fields: { ...scheduler.fields, ...asked } };
  }
  const fields = { ...scheduler.fields, convention: "diffusers", timestep_spacing: spacing };
  return { ...scheduler, convention: "diffusers", spacing, fields };
}

/** Width and height of a picture to be drawn, in pixels. */
export interface SizeOptions {
  /** Pixels; multiples of the model's `sizeMultiple`. The size of training by default. */
  readonly width?: number;
  /** As `width`. */
  readonly height?: number;
}

/** What of a request decides the programs that it needs. */
export type PrepareOptions = SizeOptions & Pick<SamplingOptions, "guidance" | "sampler" | "images" | "memoryBudget">;

/** @throws WebldmError for sides that the model cannot draw. */
export function validateSize(request: SizeOptions, { defaults, sizeMultiple }: RequestLimits) {
  const { width = defaults.width, height = defaults.height } = request;
  side("width", width, sizeMultiple);
  side("height", height, sizeMultiple);
  return { width, height };
}

/** Refuses a side that is no multiple of what the networks halve. */
export function side(name: string, value: number, multiple: number): void {
  const fits = Number.isInteger(value) && value >= multiple && value <= largestSide && value % multiple === 0;
  invariant(fits, `${name}: expected a multiple of ${multiple} from ${multiple} to ${largestSide}, got ${value}`);
}

export function integer(name: string, value: number, least: number, most: number): void {
  const fits = Number.isInteger(value) && value >= least && value <= most;
  invariant(fits, `${name}: expected an integer from ${least} to ${most}, got ${value}`);
}

export function finite(name: string, value: number, least: number, most: number): void {
  const fits = Number.isFinite(value) && value >= least && value <= most;
  invariant(fits, `${name}: expected a number from ${least} to ${most}, got ${value}`);
}
