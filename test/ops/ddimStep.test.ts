// kernels: ddimStep, predictSample
import { describe, expect, it } from "vitest";
import { type DdimStepOptions, ddimStep, type PredictionType } from "../../src/ops/ddimStep.js";
import { Bench, type Data, expectClose, onDevices, prepare, random, runGraph } from "../harness/gpu.js";

/** The q-quantile of the absolute values, linearly interpolated. */
function sortedQuantile(values: ArrayLike<number>, ratio: number): number {
  const sorted = Array.from(values, Math.abs).sort((a, b) => a - b);
  const position = ratio * (sorted.length - 1);
  const low = sorted[Math.floor(position)]!;
  const high = sorted[Math.ceil(position)]!;
  return low + (high - low) * (position - Math.floor(position));
}

/** Rows of a tensor [N, ..]. */
const rows = ({ shape, values }: { shape: readonly number[]; values: ArrayLike<number> }) => {
  const size = values.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, n) => Array.from(values).slice(n * size, (n + 1) * size));
};

/** Timestep, sqrt(alpha), sqrt(1 - alpha), sqrt(alphaPrev), direction, sigma, guidance scale; 16 in all. */
const alpha = 0.3;
const alphaPrev = 0.45;
const sigma = 0.2;
const scalars = Float32Array.from({ length: 16 }, () => Number.NaN);
scalars.set([601, alpha ** 0.5, (1 - alpha) ** 0.5, alphaPrev ** 0.5, (1 - alphaPrev - sigma ** 2) ** 0.5, sigma, 7.5]);

interface Case extends Omit<DdimStepOptions, "noise"> {
  readonly guided?: boolean;
  readonly noisy?: boolean;
}

/** Equation 12 of Song et al. 2021 with guidance and clipping, in float64. */
function step(x: Data, output: Data, noise: Data, c: Case) {
  const [, a, b, aPrev, direction, s, guidance] = Array.from(scalars) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const count = x.values.length;
  const clean = new Float64Array(count);
  const eps = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let e = output.values[i]!;
    if (c.guided) e += guidance * (output.values[count + i]! - e);
    const v = x.values[i]!;
    if (c.prediction === "v_prediction") [clean[i], eps[i]] = [a * v - b * e, a * e + b * v];
    else if (c.prediction === "sample") [clean[i], eps[i]] = [e, (v - a * e) / b];
    else [clean[i], eps[i]] = [(v - b * e) / a, e];
  }
  const limits = rows({ shape: x.shape, values: clean }).map((row) =>
    c.thresholding ? Math.min(Math.max(sortedQuantile(row, c.thresholding.ratio), 1), c.thresholding.max) : 1,
  );
  const size = count / x.shape[0]!;
  const next = clean.map((value, i) => {
    const limit = limits[Math.floor(i / size)]!;
    let x0 = value;
    if (c.thresholding) x0 = Math.min(Math.max(x0, -limit), limit) / limit;
    else if (c.clipRange !== undefined) x0 = Math.min(Math.max(x0, -c.clipRange), c.clipRange);
    clean[i] = x0;
    const e = c.useClippedModelOutput ? (x.values[i]! - a * x0) / b : eps[i]!;
    return aPrev * x0 + direction * e + (c.noisy ? s * noise.values[i]! : 0);
  });
  return { next, clean };
}

const cases: readonly Case[] = [
  ...(["epsilon", "v_prediction", "sample"] satisfies PredictionType[]).flatMap((prediction) => [
    { prediction },
    { prediction, guided: true },
    { prediction, guided: true, clipRange: 0.7, useClippedModelOutput: true },
    { prediction, guided: true, thresholding: { ratio: 0.9, max: 3 } },
  ]),
  { noisy: true },
  { noisy: true, guided: true, clipRange: 1 },
  { thresholding: { ratio: 0.995, max: 1.2 }, useClippedModelOutput: true, noisy: true },
];

onDevices("ddimStep", ({ device }) => {
  for (const c of cases) {
    it(JSON.stringify(c), async () => {
      const shape = [2, 5, 7, 3];
      const x = random("x", shape);
      const output = random("output", [c.guided ? 4 : 2, 5, 7, 3]);
      const noise = random("noise", shape);
      const { guided: _guided, noisy, ...options } = c;
      const [next, x0] = await runGraph(device(), "f32", (bench) => {
        const state = bench.state(x);
        const x0 = ddimStep(state, bench.input(output), bench.input({ shape: [16], values: scalars }), {
          ...options,
          ...(noisy && { noise: bench.input(noise) }),
        });
        return [state, x0];
      });
      const expected = step(x, output, noise, c);
      expectClose(x0!, expected.clean, 1e-10);
      expectClose(next!, expected.next, 1e-10);
    });
  }

  it("updates the state in place, step after step", async () => {
    const bench = new Bench("f32");
    const x = random("x", [1, 33]);
    const output = random("output", [1, 33]);
    const state = bench.state(x);
    bench.graph.output(ddimStep(state, bench.input(output), bench.input({ shape: [16], values: scalars })));
    const { plan, dispose } = await prepare(device(), bench);
    let expected = x;
    for (let i = 0; i < 3; i++) {
      plan.run("step");
      expected = { shape: x.shape, values: Float32Array.from(step(expected, output, output, {}).next) };
    }
    expectClose(await plan.read(state), expected.values, 1e-10);
    dispose();
  });
});

describe("ddimStep", () => {
  it("refuses an output of another size", () => {
    const bench = new Bench("f32");
    const x = bench.state(random("x", [2, 5]));
    const other = bench.input(random("e", [3, 5]));
    expect(() => ddimStep(x, other, bench.input({ shape: [16], values: scalars }))).toThrow(
      /eps is \[3, 5\] for a latent \[2, 5\]/,
    );
  });
});
