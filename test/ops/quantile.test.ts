import { expect, it } from "vitest";
import { quantile } from "../../src/ops/quantile.js";
import { constant, type Data, onDevices, random, runGraph, uniform } from "../harness/gpu.js";
import { images, sortedQuantile } from "./quantiles.js";

onDevices("quantile", ({ device }) => {
  const few = () => {
    const next = uniform(9);
    return { shape: [2, 300], values: Float32Array.from({ length: 600 }, () => Math.floor(next() * 7) - 3) };
  };
  const inputs: Readonly<Record<string, Data>> = {
    "one number": random("x", [3, 1]),
    "two numbers": random("x", [2, 2]),
    "odd sizes": random("x", [3, 13, 17, 3]),
    "the size of a latent": random("x", [2, 64, 64, 4], { scale: 2 }),
    "many equal numbers": few(),
    "all the same": constant([2, 77], -1.5),
    zeros: constant([1, 100], 0),
    "numbers of every size": {
      shape: [1, 401],
      values: Float32Array.from({ length: 401 }, (_, i) => 10 ** (i / 10 - 20)),
    },
  };
  for (const [name, x] of Object.entries(inputs)) {
    it(`agrees with sorting: ${name}`, async () => {
      for (const ratio of [0, 0.5, 0.9, 0.995, 1]) {
        const [y] = await runGraph(device(), "f32", (bench) => quantile(bench.input(x), ratio));
        for (const [n, row] of images(x.values, x.shape[0]!).entries()) {
          const expected = sortedQuantile(row, ratio);
          expect(Math.abs(y![n]! - expected), `${ratio}: ${y![n]}, expected ${expected}`).toBeLessThanOrEqual(
            2e-6 * expected,
          );
        }
      }
    });
  }
});
