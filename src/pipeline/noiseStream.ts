import { sizeOf } from "../core/shape.js";
import { TorchGenerator } from "../core/torchRandom.js";
import type { NoiseSource } from "./picture.js";

/** Noise of one draw: values [N, H, W, C], or the words that make the device draw it, four for each picture. */
export type Noise = { readonly values: Float32Array<ArrayBuffer> } | { readonly words: Uint32Array<ArrayBuffer> };

/**
 * The noise of a batch. Each picture draws from its own seed, in the order in which the reference draws, so that it does
 * not matter which batch a picture is drawn in; or all draw from one generator, whose every draw is as large as the batch.
 */
export class NoiseStream {
  private readonly generators: readonly TorchGenerator[];
  private stream = 0;

  private readonly source: NoiseSource;
  private readonly seeds: readonly number[];

  constructor({ noise, seeds, jointNoise = false }: NoiseOptions) {
    this.source = noise;
    this.seeds = seeds;
    this.generators = (jointNoise ? seeds.slice(0, 1) : seeds).map((seed) => new TorchGenerator(seed));
  }

  /** The next draw, of a latent [N, H, W, C]. */
  draw(shape: Latent): Noise {
    if (this.source === "torch") return { values: this.values(shape) };
    const stream = this.stream++;
    return { words: Uint32Array.from(this.seeds.flatMap((s) => [s % 2 ** 32, Math.floor(s / 2 ** 32), stream, 0])) };
  }

  /** The next draw of PyTorch's stream, whatever the source: [N, H, W, C], drawn channel first as the reference does. */
  values(shape: Latent): Float32Array<ArrayBuffer> {
    const [images, height, width, channels] = shape;
    const part: Latent = [images / this.generators.length, height, width, channels];
    const out = new Float32Array(sizeOf(shape));
    for (const [i, generator] of this.generators.entries()) {
      out.set(toChannelsLast(generator.randn(sizeOf(part)), part), i * sizeOf(part));
    }
    return out;
  }
}

/** The noise on the way from one seed's to another's: each draw turns as far as `t` says, from 0 to 1. */
export function noiseBetween([from, to]: readonly [number, number], t: number): Pick<NoiseStream, "draw"> {
  const stream = (seed: number) => new NoiseStream({ noise: "torch", seeds: [seed] });
  const [a, b] = [stream(from), stream(to)];
  return { draw: (shape) => ({ values: slerp(a.values(shape), b.values(shape), t) }) };
}

/** Whose noise, and from which seeds: one for each picture. */
export interface NoiseOptions {
  readonly noise: NoiseSource;
  readonly seeds: readonly number[];
  readonly jointNoise?: boolean;
}

/** [N, H, W, C] */
export type Latent = readonly [number, number, number, number];

/** Values [N, C, H, W] as the device has them, [N, H, W, C], whose sizes `shape` gives. */
export function toChannelsLast(values: Float32Array, shape: Latent): Float32Array<ArrayBuffer> {
  const [n, height, width, channels] = shape;
  const out = new Float32Array(values.length);
  const pixels = height * width;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) {
        out[(i * pixels + p) * channels + c] = values[(i * channels + c) * pixels + p]!;
      }
    }
  }
  return out;
}

/** The way on the sphere from one noise to the other: both ends and all between have the norm of noise. `t` from 0 to 1. */
export function slerp(a: Float32Array, b: Float32Array, t: number): Float32Array<ArrayBuffer> {
  let dot = 0;
  let [aa, bb] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  const angle = Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(aa * bb))));
  // Nearly parallel vectors have no plane to turn in; the straight line is the same there.
  const [wa, wb] =
    Math.sin(angle) < 1e-6
      ? [1 - t, t]
      : [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((s) => s / Math.sin(angle));
  return Float32Array.from(a, (x, i) => wa! * x + wb! * b[i]!);
}
