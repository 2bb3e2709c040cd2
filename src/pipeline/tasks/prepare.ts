import { samplerPath } from "../../sampling/sampler.js";
import type { Denoiser } from "../denoiser.js";
import { confines } from "../draw.js";
import { contextLength, latentFactor } from "../modelConfig.js";
import type { Programs } from "../programs.js";
import { type SamplingOptions, type SizeOptions, validate, validateSize } from "../request.js";

/** What of a request decides the programs that it needs. */
export type PrepareOptions = SizeOptions & Pick<SamplingOptions, "guidance" | "sampler" | "images">;

/** Compiles what a request of a size will need. */
export async function prepare(programs: Programs, options: PrepareOptions): Promise<void> {
  const { latent, images, guided } = shapeOf(programs, options);
  const length = contextLength(programs.config);
  if (length !== undefined && length > 0) await programs.contextEncoder(images * (guided ? 2 : 1));
  await denoiserFor(programs, options);
  await programs.decoder({ images, ...latent });
}

/** The denoiser of such a request; undefined where the request decides how long its context is. */
export async function denoiserFor(programs: Programs, options: PrepareOptions): Promise<Denoiser | undefined> {
  const { settings, latent, images, guided } = shapeOf(programs, options);
  const length = contextLength(programs.config);
  if (length === undefined) return undefined;
  const path = samplerPath(settings.scheduler, settings);
  return programs.denoiser({
    images,
    ...latent,
    guided,
    guidanceRescale: false,
    contextLength: length,
    noise: settings.noise,
    stepNoise: path.draws,
    thresholding: confines(settings),
    registers: path.registers,
  });
}

function shapeOf({ limits, config }: Programs, options: PrepareOptions) {
  const settings = validate({ ...options, seed: 0 }, limits);
  const size = validateSize(options, limits);
  const factor = latentFactor(config);
  const guided = settings.guidance !== 1 && config.conditioner.kind !== "none";
  const latent = { height: size.height / factor, width: size.width / factor };
  return { settings, latent, images: settings.seeds.length, guided };
}
