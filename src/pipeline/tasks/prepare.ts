import { samplerPath } from "../../sampling/sampler.js";
import { confines } from "../draw.js";
import { contextLength, latentFactor } from "../modelConfig.js";
import type { Programs } from "../programs.js";
import { type SamplingOptions, type SizeOptions, validate, validateSize } from "../request.js";

/** Compiles what a request of a size will need. */
export async function prepare(
  programs: Programs,
  options: SizeOptions & Pick<SamplingOptions, "guidance" | "sampler" | "images">,
): Promise<void> {
  const { limits, config } = programs;
  const settings = validate({ ...options, seed: 0 }, limits);
  const size = validateSize(options, limits);
  const factor = latentFactor(config);
  const latent = { height: size.height / factor, width: size.width / factor };
  const images = settings.seeds.length;
  const path = samplerPath(settings.scheduler, settings);
  const length = contextLength(config);
  const guided = settings.guidance !== 1 && config.conditioner.kind !== "none";
  if (length !== undefined) {
    if (length > 0) await programs.contextEncoder(images * (guided ? 2 : 1));
    await programs.denoiser({
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
  await programs.decoder({ images, ...latent });
}
