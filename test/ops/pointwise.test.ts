// kernels: activation, affine, concat
import { describe, expect, it } from "vitest";
import type { Shape } from "../../src/core/shape.js";
import { type Activation, activation, activations } from "../../src/ops/activation.js";
import { affine } from "../../src/ops/affine.js";
import { concat } from "../../src/ops/concat.js";
import { Bench, expectClose, forCases, random, rounded, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "./reference.js";

const names = Object.keys(activations) as Activation[];

forCases(
  "activation",
  names,
  (act) => act,
  async ({ device, dtype, item: act }) => {
    for (const shape of [[2, 3, 3, 7], [1], [1000]]) {
      const x = random("x", shape, { dtype, scale: 3 });
      const [y] = await runGraph(device, dtype, (bench) => activation(bench.input(x), act));
      // The approximation of erf is good to 1.5e-7 (absolute).
      expectClose(y!, reference.map(x, (v) => reference.activate(act, v)).values, tolerance[dtype]);
    }
  },
);

forCases(
  "activation",
  names,
  (act) => `${act} of extreme numbers`,
  async ({ device, dtype, item: act }) => {
    const large = dtype === "f16" ? 60000 : 1e30;
    const values = Float32Array.from([0, -0, 1e-7, -1e-7, 12, -12, 90, -90, 300, -300, large, -large]);
    const x = rounded({ shape: [values.length], values }, dtype);
    const [y] = await runGraph(device, dtype, (bench) => activation(bench.input(x), act));
    for (const [i, v] of x.values.entries()) {
      const expected = reference.activate(act, v);
      expect(Math.abs(y![i]! - expected), `${act}(${v}) is ${y![i]}`).toBeLessThan(1e-4 + Math.abs(expected) * 1e-3);
    }
  },
);

const affines = [
  { shape: [2, 3, 5], scale: 0.18215, shift: 0 },
  { shape: [1, 7], scale: -2, shift: 3, to: "f32" },
  { shape: [2, 3, 3, 3], repeat: 2 },
  { shape: [3, 1], repeat: 3, scale: 2, to: "f32" },
] as const;

forCases(
  "affine",
  affines,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { shape, ...options } = item;
    const {
      scale = 1,
      shift = 0,
      repeat = 1,
      to = dtype,
    } = { scale: 1, shift: 0, repeat: 1, ...options } as {
      scale?: number;
      shift?: number;
      repeat?: number;
      to?: "f32";
    };
    const x = random("x", shape, { dtype });
    const [y] = await runGraph(device, dtype, (bench) => affine(bench.input(x), { scale, shift, repeat, dtype: to }));
    const one = reference.map(x, (v) => v * scale + shift).values;
    expectClose(y!, Array.from({ length: repeat }, () => [...one]).flat(), tolerance[to]);
  },
);

forCases(
  "affine",
  ["to f16", "to f32"],
  (way) => `converts ${way}`,
  async ({ device, dtype, item: way }) => {
    if (dtype !== "f16") return;
    const [from, to] = way === "to f16" ? (["f32", "f16"] as const) : (["f16", "f32"] as const);
    const x = random("x", [2, 33], { dtype: from });
    const [y] = await runGraph(device, dtype, (bench) => affine(bench.input(x, from), { dtype: to }));
    expect([...y!]).toEqual([...rounded(x, to).values]);
  },
);

const pairs: readonly (readonly [Shape, Shape])[] = [
  [
    [2, 3, 5, 8],
    [2, 3, 5, 4],
  ],
  [
    [1, 1, 1, 1],
    [1, 1, 1, 5],
  ],
  [
    [3, 7],
    [3, 33],
  ],
];

forCases(
  "concat",
  pairs,
  ([a, b]) => `[${a}] and [${b}]`,
  async ({ device, dtype, item }) => {
    const [a, b] = item.map((shape, i) => random(`x${i}`, shape, { dtype })) as [
      ReturnType<typeof random>,
      ReturnType<typeof random>,
    ];
    const [y] = await runGraph(device, dtype, (bench) => concat(bench.input(a), bench.input(b)));
    expect([...y!]).toEqual([...reference.concat(a, b).values]);
  },
);

describe("pointwise operators", () => {
  const bench = new Bench("f32");
  const input = (...shape: number[]) => bench.graph.input("x", shape, "f32", "step");
  it("refuse what does not fit", () => {
    expect(() => concat(input(2, 3), input(3, 3))).toThrow(/concat: \[2, 3\] and \[3, 3\] differ/);
    expect(() => affine(input(2, 3), { repeat: 0 })).toThrow(/repeat is 0/);
  });
});

describe("the reference's erf", () => {
  it("agrees with tabled values", () => {
    const table = [
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3, 0.9999779095030014],
    ];
    for (const [x, y] of table) expect(reference.erf(x!)).toBeCloseTo(y!, 14);
  });
});
