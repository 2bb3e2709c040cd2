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

/** Values [N, H, W, C] of the device, whose sizes `shape` gives, as the references have them, [N, C, H, W]. */
export function toChannelsFirst(values: Float32Array, shape: Latent): Float32Array<ArrayBuffer> {
  const [n, height, width, channels] = shape;
  const out = new Float32Array(values.length);
  const pixels = height * width;
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < pixels; p++) {
        out[(i * channels + c) * pixels + p] = values[(i * pixels + p) * channels + c]!;
      }
    }
  }
  return out;
}
