import type { SamplerPath, SamplerStep } from "../../src/sampling/sampler.js";
import type { SchedulerConfig } from "../../src/sampling/schedule.js";
import { sortedQuantile } from "../ops/quantiles.js";

/** A denoiser on numbers, of whatever prediction the configuration states. */
export type Model = (x: number, timestep: number, step: SamplerStep) => number;

/** Draw number `k`, element `i`: no noise, but numbers of its size that any language makes. */
export const draw = (k: number, i: number, count: number): number => Math.sin((i + count * k) * 0.7 + 0.9);

type Thresholds = Pick<SchedulerConfig, "prediction" | "clipRange" | "thresholding">;

/** Follows a path in float64, one image of a few numbers; gives the latent before the first evaluation and after each. */
export function walk(path: SamplerPath, config: Thresholds, start: readonly number[], model: Model): number[][] {
  let x = [...start];
  let registers = Array.from({ length: path.registers }, () => x.map(() => Number.NaN));
  let drawn = 0;
  const seen = [x];
  for (const step of path.steps) {
    const { signal: a, noise: b } = step;
    const output = x.map((value) => model(value, step.timestep, step));
    const eps = output.map((e, i) =>
      config.prediction === "epsilon" ? e : config.prediction === "sample" ? (x[i]! - a * e) / b : a * e + b * x[i]!,
    );
    const raw = output.map((e, i) =>
      config.prediction === "epsilon" ? (x[i]! - b * e) / a : config.prediction === "sample" ? e : a * x[i]! - b * e,
    );
    const clean = bounded(raw, config);
    const columns = x.map((value, i) => [
      value,
      clean[i]!,
      eps[i]!,
      step.draws ? draw(drawn, i, x.length) : Number.NaN,
      ...registers.map((register) => register[i]!),
    ]);
    const rows = step.update.map((row) =>
      columns.map((column) => row.reduce((sum, weight, k) => (weight === 0 ? sum : sum + weight * column[k]!), 0)),
    );
    if (step.draws) drawn++;
    [x, ...registers] = rows as [number[], ...number[][]];
    seen.push(x);
  }
  return seen;
}

/** Clipped, or with dynamic thresholding. */
function bounded(values: readonly number[], { clipRange, thresholding }: Thresholds): number[] {
  const clip = (limit: number) => values.map((value) => Math.min(Math.max(value, -limit), limit));
  if (!thresholding) return clipRange === undefined ? [...values] : clip(clipRange);
  const limit = Math.min(Math.max(sortedQuantile(values, thresholding.ratio), 1), thresholding.max);
  return clip(limit).map((value) => value / limit);
}
