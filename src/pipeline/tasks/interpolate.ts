import { invariant } from "../../core/invariant.js";
import type { Conditioning, Context } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import { latentChannels } from "../modelConfig.js";
import { noiseBetween } from "../noiseBetween.js";
import type { Picture } from "../picture.js";
import type { Programs } from "../programs.js";
import { integer, type SamplingOptions, type SizeOptions } from "../request.js";
import { jobFromNoise } from "./fromNoise.js";
import { requireConcat } from "./requireConcat.js";
import { requireOwnNoise } from "./requireOwnNoise.js";

/** One end of an interpolation. */
export interface Endpoint extends Conditioning {
  /** The seed of the first end by default: then only the conditioning changes on the way. */
  readonly seed?: number;
}

/** What interpolation takes. */
export interface InterpolateRequest extends Omit<SamplingOptions, "images" | "seed" | "noise">, SizeOptions {
  /** The first picture. */
  readonly from: Endpoint;
  /** The last picture. */
  readonly to: Endpoint;
  /** Pictures, both ends included: 2 to 100. */
  readonly frames: number;
}

/**
 * Pictures on the way from one latent and conditioning to another: noise turns on the sphere, contexts mix linearly. What a
 * picture tells of its prompt and seed is that of the nearer end.
 */
export async function interpolate(programs: Programs, run: Run, request: InterpolateRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["none"]);
  requireOwnNoise(run);
  const { from, to, frames } = request;
  invariant(from && to, "interpolate: expected two ends, from and to");
  integer("frames", frames, 2, 100);
  const { settings } = run;
  const seeds = [from.seed ?? settings.seed, to.seed ?? from.seed ?? settings.seed] as const;
  for (const seed of seeds) integer("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  const { seed: _from, ...first } = from;
  const { seed: _to, ...second } = to;
  const jobs = [jobFromNoise(programs, run, request, first), jobFromNoise(programs, run, request, second)] as const;
  const [{ context: one, height, width }, { context: other }] = jobs;
  invariant(one.length === other.length, "interpolate: the ends' contexts differ in length");
  const values = [await contextValues(programs, one), await contextValues(programs, other)] as const;
  const latent = [1, height, width, latentChannels(programs.config)] as const;
  const pictures: Picture[] = [];
  for (let i = 0; i < frames; i++) {
    const t = i / (frames - 1);
    const nearest = t < 0.5 ? 0 : 1;
    const job = jobs[nearest];
    const context: Context = {
      ...job.context, // labels do not mix
      ids: undefined,
      ...(values[0] && values[1] ? { values: mix(values[0], values[1], t) } : {}),
    };
    const seed = seeds[nearest];
    const noise = noiseBetween(seeds, t);
    const part: Run = { ...run, settings: { ...settings, seed, seeds: [seed] } };
    pictures.push(...(await draw(programs, { ...job, run: part, context, noise, start: noise.draw(latent) })));
  }
  return pictures;
}

/** The numbers of a context: those given, or what the encoder makes of its ids. */
async function contextValues(programs: Programs, context: Context): Promise<Float32Array | undefined> {
  if (!context.ids) return context.values;
  const encoder = await programs.contextEncoder(context.ids.length);
  encoder.encode(context.ids);
  return encoder.read();
}

const mix = (a: Float32Array, b: Float32Array, t: number): Float32Array<ArrayBuffer> =>
  Float32Array.from(a, (x, i) => (1 - t) * x + t * b[i]!);
