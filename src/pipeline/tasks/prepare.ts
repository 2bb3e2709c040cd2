import { samplerPath } from "../../sampling/sampler.js";
import type { Denoiser, DenoiseShape } from "../denoiser.js";
import { confines } from "../draw.js";
import { contextLength, latentFactor } from "../modelConfig.js";
import type { Programs } from "../programs.js";
import { type PrepareOptions, validate, validateSize } from "../request.js";

/** What of a model decides which programs a request needs. */
type About = Pick<Programs, "config" | "limits">;

/** Compiles what a request of a size will need. */
export async function prepare(programs: Programs, options: PrepareOptions): Promise<void> {
  const { latent, images } = shapeOf(programs, options);
  const conditions = contextShape(programs, options);
  if (conditions) await programs.contextEncoder(conditions);
  await denoiserFor(programs, options);
  await programs.decoder({ images, ...latent }, options.memoryBudget);
}

/** The denoiser of such a request; undefined where the request decides how long its context is. */
export async function denoiserFor(programs: Programs, options: PrepareOptions): Promise<Denoiser | undefined> {
  const shape = denoiseShape(programs, options);
  return shape && programs.denoiser(shape);
}

/** How many conditions such a request encodes; undefined where it encodes none, or decides how long its context is. */
export function contextShape(about: About, options: PrepareOptions): number | undefined {
  const { images, guided } = shapeOf(about, options);
  return contextLength(about.config) ? images * (guided ? 2 : 1) : undefined;
}

/** The shape of its denoiser, as {@link denoiserFor} asks for it. */
export function denoiseShape(about: About, options: PrepareOptions): DenoiseShape | undefined {
  const { settings, latent, images, guided } = shapeOf(about, options);
  const length = contextLength(about.config);
  if (length === undefined) return undefined;
  const path = samplerPath(settings.scheduler, settings);
  return {
    images,
    ...latent,
    guided,
    guidanceRescale: false,
    contextLength: length,
    noise: settings.noise,
    stepNoise: path.draws,
    thresholding: confines(settings),
    registers: path.registers,
  };
}

function shapeOf({ limits, config }: About, options: PrepareOptions) {
  const settings = validate({ ...options, seed: 0 }, limits);
  const size = validateSize(options, limits);
  const factor = latentFactor(config);
  const guided = settings.guidance !== 1 && config.conditioner.kind !== "none";
  const latent = { height: size.height / factor, width: size.width / factor };
  return { settings, latent, images: settings.seeds.length, guided };
}
