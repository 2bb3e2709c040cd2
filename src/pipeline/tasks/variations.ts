import { type Conditioning, conditioningOf } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import { latentChannels } from "../modelConfig.js";
import { noiseBetween } from "../noiseBetween.js";
import type { Picture } from "../picture.js";
import type { Programs } from "../programs.js";
import { finite, integer, type SamplingOptions, type SizeOptions } from "../request.js";
import { jobFromNoise } from "./fromNoise.js";
import { requireConcat } from "./requireConcat.js";
import { requireOwnNoise } from "./requireOwnNoise.js";

export interface VariationsRequest extends Omit<SamplingOptions, "images" | "noise">, SizeOptions, Conditioning {
  /** How far each variation is from the seed's picture: 0 the same, 1 another seed's. 0.2 by default. */
  readonly amount?: number;
  /** Pictures: 1 to 64. */
  readonly count: number;
}

/** Pictures near that of a seed: its noise, turned some way towards that of the seeds that follow. */
export async function variations(programs: Programs, run: Run, request: VariationsRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["none"]);
  requireOwnNoise(run);
  const { amount = 0.2, count } = request;
  finite("amount", amount, 0, 1);
  integer("count", count, 1, 64);
  const { seed } = run.settings;
  integer("seed", seed, 0, Number.MAX_SAFE_INTEGER - count); // those that follow are told apart
  const job = jobFromNoise(programs, run, request, conditioningOf(request));
  const latent = [1, job.height, job.width, latentChannels(programs.config)] as const;
  const pictures: Picture[] = [];
  for (let i = 1; i <= count; i++) {
    const noise = noiseBetween([seed, seed + i], amount);
    pictures.push(...(await draw(programs, { ...job, noise, start: noise.draw(latent) })));
  }
  return pictures;
}
