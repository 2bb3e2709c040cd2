// Ops that work on rows split them where a tensor exceeds a binding: the result is the same to the bit.
import { expect } from "vitest";
import { reshape, type Tensor } from "../../src/graph/graph.js";
import { activation } from "../../src/ops/activation.js";
import { concat } from "../../src/ops/concat.js";
import { layerNorm } from "../../src/ops/layerNorm.js";
import { linear } from "../../src/ops/linear.js";
import { averagePool, resizeNearest } from "../../src/ops/resize.js";
import { resizeBilinear } from "../../src/ops/resizeBilinear.js";
import { toRgba } from "../../src/ops/toRgba.js";
import { type Bench, forCases, random, runGraph } from "../harness/gpu.js";

type Build = (bench: Bench, x: Tensor) => Tensor;

const weights = (inner: number, out: number) => ({
  weight: random("weight", [out, inner]),
  bias: random("bias", [out]),
});

const cases: readonly { name: string; width: number; build: Build }[] = [
  { name: "linear", width: 24, build: (b, x) => linear(x, b.scope("l", weights(24, 20)), { out: 20 }) },
  { name: "linear of odd width", width: 13, build: (b, x) => linear(x, b.scope("l", weights(13, 7)), { out: 7 }) },
  {
    name: "linear with residual, activations and a wider result",
    width: 16,
    build: (b, x) =>
      linear(x, b.scope("l", weights(16, 16)), { out: 16, residual: x, actIn: "silu", act: "gelu", dtype: "f32" }),
  },
  {
    name: "linear, gated",
    width: 24,
    build: (b, x) => linear(x, b.scope("l", weights(24, 60)), { out: 30, act: "gelu", gated: true }),
  },
  {
    name: "layer norm",
    width: 36,
    build: (b, x) => layerNorm(x, b.scope("n", { weight: random("weight", [36]), bias: random("bias", [36]) })),
  },
  { name: "concat", width: 10, build: (_b, x) => concat(x, activation(x, "silu")) },
  { name: "activation", width: 17, build: (_b, x) => activation(x, "quickGelu") },
  { name: "resizeNearest up", width: 8, build: (_b, x) => resizeNearest(reshape(x, [4, 25, 12, 4]), [49, 20]) },
  { name: "resizeNearest down", width: 8, build: (_b, x) => resizeNearest(reshape(x, [2, 150, 4, 4]), [61, 7]) },
  { name: "resizeBilinear up", width: 6, build: (_b, x) => resizeBilinear(reshape(x, [2, 60, 10, 3]), [131, 10]) },
  {
    name: "resizeBilinear down",
    width: 8,
    build: (_b, x) => resizeBilinear(reshape(x, [3, 100, 4, 4]), [41, 4], 0.41),
  },
  { name: "averagePool", width: 16, build: (_b, x) => averagePool(reshape(x, [2, 75, 8, 8])) },
  { name: "toRgba", width: 12, build: (_b, x) => toRgba(reshape(x, [2, 30, 40, 3])) },
];

forCases(
  "row bands",
  cases,
  ({ name }) => name,
  async ({ device, dtype, item }) => {
    const data = random("x", [2, 300, item.width], { dtype });
    for (const software of [false, true]) {
      let calls = 0;
      const build = (bench: Bench) => {
        const y = item.build(bench, bench.input(data));
        calls = bench.graph.calls.length;
        return y;
      };
      const [whole] = await runGraph(device, dtype, build, { software });
      const before = calls;
      const [banded] = await runGraph(device, dtype, build, { software, maxBinding: 2 ** 13 });
      expect(calls).toBeGreaterThan(before);
      expect([...banded!]).toEqual([...whole!]);
    }
  },
);
