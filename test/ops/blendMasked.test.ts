import { describe, expect, it } from "vitest";
import { blendMasked } from "../../src/ops/blendMasked.js";
import { Bench, constant, type Data, expectClose, onDevices, random, runGraph, uniform } from "../harness/gpu.js";

interface Case {
  readonly shape: readonly [number, number, number, number];
  /** Batches of clean and mask. */
  readonly clean: number;
  readonly mask: number;
  readonly signal: number;
  readonly level: number;
  /** Values between 0 and 1 instead of either. */
  readonly soft?: boolean;
}

const cases: readonly Case[] = [
  { shape: [1, 8, 8, 4], clean: 1, mask: 1, signal: 0.6, level: 0.8 },
  { shape: [3, 5, 7, 3], clean: 3, mask: 3, signal: 0.6, level: 0.8 },
  { shape: [3, 5, 7, 3], clean: 1, mask: 1, signal: 0.1, level: 0.99, soft: true },
  { shape: [2, 13, 11, 9], clean: 2, mask: 1, signal: 1, level: 0, soft: true },
  { shape: [2, 1, 1, 1], clean: 1, mask: 2, signal: 0.6, level: 0.8 },
];

function maskOf(shape: readonly number[], soft: boolean): Data {
  const next = uniform(3);
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () =>
    soft ? next() : Math.round(next()),
  );
  return { shape, values };
}

onDevices("blendMasked", ({ device }) => {
  for (const c of cases) {
    it(JSON.stringify(c), async () => {
      const { shape, signal, level, soft = false } = c;
      const [n, h, w, channels] = shape;
      const x = random("x", shape);
      const clean = random("clean", [c.clean, h, w, channels]);
      const noise = random("noise", shape);
      const mask = maskOf([c.mask, h, w, 1], soft);
      const [y] = await runGraph(device(), "f32", (bench) => {
        const state = bench.state(x);
        const scalars = bench.input({ shape: [2], values: Float32Array.of(signal, level) });
        blendMasked(state, bench.input(clean), bench.input(mask), bench.input(noise), scalars);
        return state;
      });
      const expected = new Float64Array(n * h * w * channels);
      for (let b = 0; b < n; b++) {
        for (let p = 0; p < h * w; p++) {
          for (let k = 0; k < channels; k++) {
            const i = (b * h * w + p) * channels + k;
            const m = mask.values[(c.mask === 1 ? 0 : b * h * w) + p]!;
            const kept = signal * clean.values[c.clean === 1 ? p * channels + k : i]! + level * noise.values[i]!;
            expected[i] = m * x.values[i]! + (1 - m) * kept;
          }
        }
      }
      expectClose(y!, expected, 1e-10);
    });
  }
});

describe("blendMasked", () => {
  it("refuses a mask of another size", () => {
    const bench = new Bench("f32");
    const [x, clean, noise] = ["x", "clean", "noise"].map((name) => random(name, [2, 4, 4, 3]));
    const mask = bench.input(constant([1, 4, 3, 1], 1));
    const scalars = bench.input(constant([2], 1));
    expect(() => blendMasked(bench.state(x!), bench.input(clean!), mask, bench.input(noise!), scalars)).toThrow(
      /clean, mask, noise are \[2, 4, 4, 3\], \[1, 4, 3, 1\], \[2, 4, 4, 3\] for a latent \[2, 4, 4, 3\]/,
    );
  });
});
