// kernels: samplerStep, predictClean, guidanceFactor
import { describe, expect, it } from "vitest";
import { type PredictionType, type SamplerStepOptions, samplerStep } from "../../src/ops/samplerStep.js";
import { type SamplerStep, stepScalars } from "../../src/sampling/sampler.js";
import {
  Bench,
  constant,
  type Data,
  expectClose,
  onDevices,
  prepare,
  random,
  runGraph,
  uniform,
} from "../harness/gpu.js";
import { images, sortedQuantile } from "./quantiles.js";

const deviation = (values: readonly number[]): number => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
};

interface Case extends Omit<SamplerStepOptions, "noise" | "registers" | "guidanceRescale"> {
  readonly shape?: readonly number[];
  readonly guided?: boolean;
  readonly noisy?: boolean;
  readonly registers?: number;
  /** Share of guidance rescale. */
  readonly rescale?: number;
  /** Weights of 0 for every register. */
  readonly first?: boolean;
}

const guidance = 7.5;

/** A step with a table of its own: weights between -1 and 1, none of them 0. */
function stepOf({ registers = 0, noisy = false, first = false }: Case): SamplerStep {
  const next = uniform(registers + 5);
  const update = Array.from({ length: 1 + registers }, () =>
    Array.from({ length: 4 + registers }, (_, k) => {
      const weight = next() * 2 - 1;
      return (k === 3 && !noisy) || (k > 3 && first) ? 0 : weight;
    }),
  );
  return { timestep: 601, signal: Math.sqrt(0.3), noise: Math.sqrt(0.7), update, draws: noisy };
}

/** The step in float64. */
function expected(x: Data, output: Data, noise: Data, registers: Data, c: Case) {
  const { signal: a, noise: b, update } = stepOf(c);
  const count = x.values.length;
  const batch = x.shape[0]!;
  const size = count / batch;
  const plain = Array.from(output.values.slice(0, count));
  const conditional = Array.from(output.values.slice(count));
  let guided = c.guided ? plain.map((e, i) => e + guidance * (conditional[i]! - e)) : plain;
  if (c.rescale !== undefined) {
    const [wanted, found] = [images(conditional, batch), images(guided, batch)];
    const factors = wanted.map((image, n) => 1 - c.rescale! + (c.rescale! * deviation(image)) / deviation(found[n]!));
    guided = guided.map((e, i) => e * factors[Math.floor(i / size)]!);
  }
  const clean = new Float64Array(count);
  const eps = new Float64Array(count);
  for (const [i, e] of guided.entries()) {
    const v = x.values[i]!;
    if (c.prediction === "v_prediction") [clean[i], eps[i]] = [a * v - b * e, a * e + b * v];
    else if (c.prediction === "sample") [clean[i], eps[i]] = [e, (v - a * e) / b];
    else [clean[i], eps[i]] = [(v - b * e) / a, e];
  }
  const limits = images(clean, batch).map((image) =>
    c.thresholding ? Math.min(Math.max(sortedQuantile(image, c.thresholding.ratio), 1), c.thresholding.max) : 1,
  );
  const rows = update.map(() => new Float64Array(count));
  for (let i = 0; i < count; i++) {
    const limit = limits[Math.floor(i / size)]!;
    if (c.thresholding) clean[i] = Math.min(Math.max(clean[i]!, -limit), limit) / limit;
    else if (c.clipRange !== undefined) clean[i] = Math.min(Math.max(clean[i]!, -c.clipRange), c.clipRange);
    if (c.useClippedModelOutput) eps[i] = (x.values[i]! - a * clean[i]!) / b;
    const held = Array.from({ length: c.registers ?? 0 }, (_, r) => registers.values[r * count + i]!);
    const columns = [x.values[i]!, clean[i]!, eps[i]!, noise.values[i]!, ...held];
    for (const [r, row] of update.entries()) {
      rows[r]![i] = row.reduce((total, weight, k) => total + (weight === 0 ? 0 : weight * columns[k]!), 0);
    }
  }
  return { rows, clean };
}

const kinds: readonly PredictionType[] = ["epsilon", "v_prediction", "sample"];
const cases: readonly Case[] = [
  ...kinds.flatMap((prediction) => [
    { prediction },
    { prediction, guided: true },
    { prediction, guided: true, rescale: 0.7 },
    { prediction, guided: true, clipRange: 0.7, useClippedModelOutput: true },
    { prediction, guided: true, thresholding: { ratio: 0.9, max: 3 }, registers: 2 },
    { prediction, noisy: true, registers: 1 },
  ]),
  ...[0, 1, 2, 3, 4, 5].flatMap((registers) => [
    { registers },
    { registers, noisy: true, guided: true, shape: [3, 13, 11, 4] },
    { registers, first: true },
  ]),
  { thresholding: { ratio: 0.995, max: 1.2 }, useClippedModelOutput: true, noisy: true },
  { thresholding: { ratio: 0.9, max: 1.5 }, guided: true, rescale: 1, registers: 2 },
  { guided: true, rescale: 0 },
  { guided: true, rescale: 0.5, shape: [1, 1, 1, 1] },
  { guided: true, rescale: 0.3, shape: [1, 64, 64, 4], registers: 3 },
  { shape: [1, 1] },
  { shape: [7, 257], registers: 3, noisy: true },
];

onDevices("samplerStep", ({ device }) => {
  for (const c of cases) {
    it(JSON.stringify(c), async () => {
      const { shape = [2, 5, 7, 3], guided, noisy, registers: held = 0, rescale, first, ...options } = c;
      const x = random("x", shape);
      const output = random("output", [shape[0]! * (guided ? 2 : 1), ...shape.slice(1)]);
      const noise = random("noise", shape);
      // Before they are first written, registers hold anything.
      const registers = first ? constant([held, ...shape], Number.NaN) : random("registers", [held, ...shape]);
      // A single element has no deviation of its own.
      const single = shape.every((n) => n === 1) && rescale !== undefined;
      const results = await runGraph(device(), "f32", (bench) => {
        const state = bench.state(x);
        const kept = held > 0 ? bench.state(registers) : undefined;
        const scalars = bench.input({ shape: [64], values: stepScalars(stepOf(c), guidance, rescale) });
        const x0 = samplerStep(state, bench.input(output), scalars, {
          ...options,
          ...(kept && { registers: kept }),
          ...(noisy && { noise: bench.input(noise) }),
          guidanceRescale: rescale !== undefined,
        });
        return [x0, state, ...(kept ? [kept] : [])];
      });
      const { rescale: _, ...plain } = c;
      const { rows, clean } = expected(x, output, noise, registers, single ? plain : c);
      expectClose(results[0]!, clean, 1e-9);
      expectClose(results[1]!, rows[0]!, 1e-9);
      if (held > 0) expectClose(results[2]!, Float64Array.from(rows.slice(1).flatMap((row) => [...row])), 1e-9);
    });
  }

  it("updates latent and registers in place, step after step", async () => {
    const bench = new Bench("f32");
    const shape = [1, 33];
    const c: Case = { registers: 2 };
    const output = random("output", shape);
    let x = random("x", shape);
    let registers = random("registers", [2, ...shape]);
    const state = bench.state(x);
    const kept = bench.state(registers);
    const scalars = bench.input({ shape: [64], values: stepScalars(stepOf(c), 1) });
    bench.graph.output(samplerStep(state, bench.input(output), scalars, { registers: kept }));
    const { plan, dispose } = await prepare(device(), bench);
    for (let i = 0; i < 3; i++) {
      plan.run("step");
      const { rows } = expected(x, output, output, registers, c);
      x = { shape, values: Float32Array.from(rows[0]!) };
      registers = { shape: [2, ...shape], values: Float32Array.from(rows.slice(1).flatMap((row) => [...row])) };
    }
    expectClose(await plan.read(state), x.values, 1e-9);
    expectClose(await plan.read(kept), registers.values, 1e-9);
    dispose();
  });
});

describe("samplerStep", () => {
  const shape = [2, 5];
  const x = random("x", shape);
  it.each<[string, (bench: Bench) => void, RegExp]>([
    [
      "an output of another size",
      (b) => samplerStep(b.state(x), b.input(random("e", [3, 5])), b.input(constant([64], 0))),
      /output is \[3, 5\] for a latent \[2, 5\]/,
    ],
    [
      "other scalars",
      (b) => samplerStep(b.state(x), b.input(x), b.input(constant([16], 0))),
      /scalars are \[16\], expected \[64\]/,
    ],
    [
      "registers of another shape",
      (b) =>
        samplerStep(b.state(x), b.input(x), b.input(constant([64], 0)), { registers: b.state(random("r", [2, 5])) }),
      /registers are \[2, 5\], expected up to 5 of \[2, 5\]/,
    ],
    [
      "noise of another shape",
      (b) => samplerStep(b.state(x), b.input(x), b.input(constant([64], 0)), { noise: b.input(random("n", [1, 5])) }),
      /noise is \[1, 5\] for a latent \[2, 5\]/,
    ],
    [
      "guidance rescale without guidance",
      (b) => samplerStep(b.state(x), b.input(x), b.input(constant([64], 0)), { guidanceRescale: true }),
      /guidance rescale without guidance/,
    ],
  ])("refuses %s", (_, build, message) => {
    expect(() => build(new Bench("f32"))).toThrow(message);
  });
});
