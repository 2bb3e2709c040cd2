import { invariant } from "../../core/invariant.js";
import { type Conditioning, type Context, contextOf } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import { latentChannels } from "../modelConfig.js";
import { NoiseStream, slerp } from "../noiseStream.js";
import type { Picture } from "../picture.js";
import type { Programs } from "../programs.js";
import { integer, type SamplingOptions, type SizeOptions } from "../request.js";
import { jobFromNoise } from "./fromNoise.js";
import { requireConcat } from "./requireConcat.js";

/** One end of an interpolation. */
export interface Endpoint extends Conditioning {
  /** The seed of the first end by default: then only the conditioning changes on the way. */
  readonly seed?: number;
}

export interface InterpolateRequest extends Omit<SamplingOptions, "images" | "seed" | "noise">, SizeOptions {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** Pictures, both ends included: 2 to 100. */
  readonly frames: number;
}

/**
 * Pictures on the way from one latent and conditioning to another: start noise turns on the sphere, contexts mix linearly.
 */
export async function interpolate(programs: Programs, run: Run, request: InterpolateRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["none"]);
  const { from, to, frames } = request;
  invariant(from && to, "interpolate: expected two ends, from and to");
  integer("frames", frames, 2, 100);
  const { settings } = run;
  const seeds = [from.seed ?? settings.seed, to.seed ?? from.seed ?? settings.seed];
  for (const seed of seeds) integer("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  const { seed: _from, ...first } = from;
  const { seed: _to, ...second } = to;
  const one = { guidance: settings.guidance, images: 1 };
  const ends = [contextOf(programs, first, one), contextOf(programs, second, one)] as const;
  invariant(ends[0].length === ends[1].length, "interpolate: the ends' contexts differ in length");
  const values = [await contextValues(programs, ends[0]), await contextValues(programs, ends[1])] as const;
  const job = jobFromNoise(programs, run, request, first);
  const latent = [1, job.height, job.width, latentChannels(programs.config)] as const;
  const [a, b] = seeds.map((seed) => new NoiseStream({ noise: "torch", seeds: [seed] }).values(latent)) as [
    Float32Array,
    Float32Array,
  ];
  const pictures: Picture[] = [];
  for (let i = 0; i < frames; i++) {
    const t = i / (frames - 1);
    const context: Context = {
      ...ends[0],
      ids: undefined,
      ...(values[0] && values[1] ? { values: mix(values[0], values[1], t) } : {}),
    };
    const [picture] = await draw(programs, { ...job, context, start: { values: slerp(a, b, t) } });
    pictures.push(picture!);
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
