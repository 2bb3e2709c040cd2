// kernels: resizeNearest, resizeBilinear, averagePool
import { describe, expect, it } from "vitest";
import { averagePool, resizeNearest } from "../../src/ops/resize.js";
import { resizeBilinear } from "../../src/ops/resizeBilinear.js";
import { Bench, expectClose, forCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "./reference.js";

interface Case {
  readonly x: readonly [number, number, number, number];
  readonly to: readonly [number, number];
  readonly scale?: number;
}

const cases: readonly Case[] = [
  { x: [2, 8, 8, 4], to: [16, 16] },
  { x: [1, 1, 1, 3], to: [5, 7] },
  { x: [3, 5, 7, 1], to: [13, 17] },
  { x: [1, 13, 17, 5], to: [6, 4] },
  { x: [2, 9, 4, 33], to: [1, 1] },
  { x: [1, 9, 11, 3], to: [9, 11] },
];
const show = ({ x, to, scale }: Case) => `[${x}] to ${to}${scale ? `, scale ${scale}` : ""}`;

forCases("resizeNearest", cases, show, async ({ device, dtype, item }) => {
  const x = random("x", item.x, { dtype });
  const [y] = await runGraph(device, dtype, (bench) => resizeNearest(bench.input(x), item.to));
  expect([...y!]).toEqual([...reference.resizeNearest(x, item.to).values]);
});

const scaled: readonly Case[] = [
  { x: [1, 9, 11, 3], to: [4, 5], scale: 0.5 },
  { x: [2, 5, 5, 3], to: [12, 12], scale: 2.5 },
];
forCases("resizeBilinear", [...cases, ...scaled], show, async ({ device, dtype, item }) => {
  const x = random("x", item.x, { dtype });
  const [y] = await runGraph(device, dtype, (bench) => resizeBilinear(bench.input(x), item.to, item.scale));
  expectClose(y!, reference.resizeBilinear(x, item.to, item.scale).values, tolerance[dtype]);
});

const pooled = [
  [2, 8, 8, 4],
  [1, 2, 2, 1],
  [3, 5, 7, 3],
  [1, 13, 17, 33],
] as const;
forCases(
  "averagePool",
  pooled,
  (shape) => `[${shape}]`,
  async ({ device, dtype, item: shape }) => {
    const x = random("x", shape, { dtype });
    const [y] = await runGraph(device, dtype, (bench) => averagePool(bench.input(x)));
    expectClose(y!, reference.averagePool(x).values, tolerance[dtype]);
  },
);

describe("resizing", () => {
  it("refuses what is no picture", () => {
    const bench = new Bench("f32");
    expect(() => resizeNearest(bench.input(random("x", [2, 3])), [4, 4])).toThrow(/resizeNearest: input is \[2, 3\]/);
    expect(() => averagePool(bench.input(random("x", [1, 1, 4, 4])))).toThrow(/1 x 4 holds no block/);
  });
});
