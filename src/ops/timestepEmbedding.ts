import code from "../../shaders/timestepEmbedding.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";

export const timestepEmbeddingKernel = defineKernel({
  name: "timestepEmbedding",
  code,
  reads: ["t"],
  writes: ["y"],
  params: { count: "u32", channels: "u32", logPeriod: "f32" },
  consts: ["O", "SINE_FIRST"],
});

/** How a timestep becomes waves. */
export interface TimestepEmbeddingOptions {
  /** Of the result; even. */
  readonly channels: number;
  /** Cosines in the first half (all released checkpoints), else sines. */
  readonly cosineFirst?: boolean;
  /** Taken from half the channels in the exponent's divisor. */
  readonly frequencyShift?: number;
  /** Period of the slowest wave; 10,000 by default. */
  readonly maxPeriod?: number;
}

/** Sinusoidal embedding of timesteps: t [N] (f32, any real number) to [N, channels]. */
export function timestepEmbedding(t: Tensor, options: TimestepEmbeddingOptions): Tensor {
  const { channels, cosineFirst = true, frequencyShift = 0, maxPeriod = 10000 } = options;
  invariant(
    t.shape.length === 1 && t.dtype === "f32",
    `timestepEmbedding: t is ${showShape(t.shape)} ${t.dtype}, expected [N] f32`,
  );
  const n = t.shape[0]!;
  const half = Math.floor(channels / 2);
  const y = t.graph.empty([n, channels]);
  const count = n * ceilDiv(channels, 2);
  t.graph.emit(timestepEmbeddingKernel, {
    reads: { t },
    writes: { y },
    params: { count, channels, logPeriod: Math.log(maxPeriod) / Math.max(1, half - frequencyShift) },
    consts: { O: y.dtype, SINE_FIRST: cosineFirst ? 0 : 1 },
    grid: [ceilDiv(count, 64)],
  });
  return y;
}
