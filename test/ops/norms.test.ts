// kernels: groupNorm, groupNormStats, groupNormScale, groupNormApply, layerNorm, softmax
import { describe, expect, it } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import type { Shape } from "../../src/core/shape.js";
import { type Activation, activation } from "../../src/ops/activation.js";
import { groupNorm } from "../../src/ops/groupNorm.js";
import { layerNorm } from "../../src/ops/layerNorm.js";
import { softmax } from "../../src/ops/softmax.js";
import { Bench, expectClose, forCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "./reference.js";

interface Case {
  readonly x: Shape;
  readonly groups: number;
  readonly act?: Activation;
  readonly eps?: number;
  readonly mean?: number;
  /** Scaled and shifted by numbers of each image. */
  readonly modulated?: boolean;
  /** Error allowed when it differs. */
  readonly limit?: number;
  /** In f32 only: float16 holds no such numbers. */
  readonly f32?: boolean;
}

const cases: readonly Case[] = [
  { x: [1, 8, 8, 320], groups: 32 },
  { x: [2, 7, 5, 64], groups: 32, act: "silu" },
  { x: [3, 13, 17, 6], groups: 2 },
  { x: [2, 7, 5, 64], groups: 32, act: "silu", modulated: true },
  { x: [3, 5, 3, 15], groups: 5, modulated: true },
  { x: [1, 33, 31, 8], groups: 1, act: "silu", modulated: true },
  { x: [2, 4, 4, 33], groups: 11, act: "silu", eps: 1e-6 },
  { x: [1, 1, 1, 32], groups: 8 },
  { x: [2, 9, 5, 7], groups: 1 },
  { x: [2, 1, 3, 5], groups: 5 },
  { x: [1, 40, 40, 16], groups: 4 },
  { x: [2, 65, 63, 8], groups: 2, act: "silu" },
  // Several blocks of groups, the last one smaller; a group of more channels than a segment; groups that start at no
  // multiple of four channels.
  { x: [1, 9, 5, 640], groups: 32 },
  { x: [2, 3, 5, 1040], groups: 2, act: "silu" },
  { x: [1, 11, 3, 1030], groups: 2 },
  { x: [2, 7, 5, 330], groups: 33 },
  { x: [1, 10, 9, 660], groups: 66, modulated: true },
  // Of numbers about 1000 float32 keeps steps of 6e-5.
  { x: [2, 12, 12, 64], groups: 32, mean: 1000, limit: 1e-8, f32: true },
  { x: [1, 64, 64, 16], groups: 2, mean: 1000, limit: 1e-8, f32: true },
];

const show = ({ x, groups, act, mean, modulated }: Case) =>
  [`[${x}] in ${groups} groups`, act, mean && `mean ${mean}`, modulated && "modulated"].filter(Boolean).join(", ");

function dataOf({ x, mean = 0, modulated = false }: Case, dtype: DType) {
  const channels = x.at(-1)!;
  return {
    x: random("x", x, { dtype, mean }),
    weight: random("weight", [channels], { mean: 1, scale: 0.3 }),
    bias: random("bias", [channels]),
    modulation: modulated ? random("modulation", [x[0]!, 2 * channels], { scale: 0.5 }) : undefined,
  };
}

function record(bench: Bench, c: Case, data: ReturnType<typeof dataOf>, variant: "whole" | "chunked", chunk?: number) {
  const { groups, act, eps } = c;
  const w = bench.scope("norm", { weight: data.weight, bias: data.bias });
  const modulation = data.modulation && bench.input(data.modulation, "f32");
  return groupNorm(bench.input(data.x), w, {
    groups,
    variant,
    ...(chunk && { chunk }),
    ...(act && { act }),
    ...(eps && { eps }),
    ...(modulation && { modulation }),
  });
}

for (const [variant, chunk] of [["whole"], ["chunked"], ["chunked", 8]] as const) {
  // With eight invocations a group each sums thousands of numbers, which shows where the mean dwarfs the spread.
  const forms = cases.flatMap((c) => [c, { ...c, software: true, ...(c.mean && { limit: 1e-7 }) }]);
  const showForm = (c: (typeof forms)[number]) => show(c) + ("software" in c ? ", for a CPU" : "");
  forCases(`groupNorm, ${chunk ? `chunks of ${chunk}` : variant}`, forms, showForm, async ({ device, dtype, item }) => {
    if (item.f32 && dtype === "f16") return;
    const data = dataOf(item, dtype);
    const [y] = await runGraph(device, dtype, (bench) => record(bench, item, data, variant, chunk), {
      software: "software" in item,
    });
    const expected = reference.groupNorm(data.x, { ...item, ...data });
    expectClose(y!, expected.values, item.limit ?? tolerance[dtype]);
  });

  if (chunk) continue;
  forCases(
    "groupNorm",
    [variant],
    () => `${variant}: fused equals composed`,
    async ({ device, dtype }) => {
      const c: Case = { x: [2, 9, 9, 16], groups: 4, act: "silu" };
      const data = dataOf(c, dtype);
      const [fused, composed] = await runGraph(device, dtype, (bench) => [
        record(bench, c, data, variant),
        activation(record(bench, { ...c, act: "none" }, data, variant), "silu"),
      ]);
      expectClose(fused!, composed!, tolerance[dtype]);
    },
  );
}

// Statistics take squares about a number of the column: of hundreds of numbers about 1000 nothing may cancel.
const faraway: readonly (Case & { readonly software?: boolean })[] = [
  { x: [1, 90, 90, 8], groups: 2, mean: 1000 },
  { x: [1, 90, 90, 8], groups: 2, mean: 1000, software: true },
];
const farawayName = (c: (typeof faraway)[number]) => `${show(c)}, in one chunk${c.software ? ", for a CPU" : ""}`;
forCases("groupNorm", faraway, farawayName, async ({ device, dtype, item }) => {
  if (dtype === "f16") return;
  const data = dataOf(item, dtype);
  const { software = false } = item;
  const [y] = await runGraph(device, dtype, (bench) => record(bench, item, data, "chunked", 8100), { software });
  expectClose(y!, reference.groupNorm(data.x, { ...item, ...data }).values, 3e-8); // of steps of 6e-5
});

const banded: readonly (Case & { readonly maxBinding: number })[] = [
  { x: [1, 64, 64, 32], groups: 8, act: "silu", maxBinding: 2 ** 16 },
  { x: [1, 61, 67, 24], groups: 2, maxBinding: 2 ** 17 },
  { x: [2, 64, 32, 64], groups: 32, modulated: true, maxBinding: 2 ** 16 },
  { x: [3, 16, 16, 32], groups: 4, maxBinding: 2 ** 15 },
];

const bandName = (c: Case) => `${show(c)}: as in one piece`;
forCases("groupNorm in bands", banded, bandName, async ({ device, dtype, item }) => {
  const data = dataOf(item, dtype);
  let calls = 0;
  const build = (bench: Bench) => {
    const y = record(bench, item, data, "chunked");
    calls = bench.graph.calls.length;
    return y;
  };
  const [whole] = await runGraph(device, dtype, build);
  expect(calls).toBe(3);
  const maxBinding = dtype === "f16" ? item.maxBinding / 2 : item.maxBinding;
  const [pieces] = await runGraph(device, dtype, build, { maxBinding });
  expect(calls).toBeGreaterThan(3);
  expectClose(pieces!, whole!, tolerance[dtype]); // chunks may be smaller
});

describe("groupNorm", () => {
  const bench = new Bench("f32", { maxBinding: 4096 });
  const w = bench.scope("mid.norm", {});
  it("refuses groups that do not divide the channels, and images that it cannot bind", () => {
    const input = (...shape: number[]) => bench.graph.input("x", shape, "f32", "step");
    expect(() => groupNorm(input(1, 4, 4, 33), w)).toThrow(
      /groupNorm mid\.norm: 33 channels do not split into 32 groups/,
    );
    const other = { groups: 4, modulation: input(2, 16) };
    expect(() => groupNorm(input(2, 2, 2, 16), bench.scope("film", {}), other)).toThrow(
      /groupNorm film: modulation is \[2, 16\] f32, expected \[2, 32\] f32/,
    );
    expect(() => groupNorm(input(2, 25, 5, 10), bench.scope("other", {}), { groups: 1 })).toThrow(/multiples of 256/);
  });
});

const rows: readonly Shape[] = [
  [2, 77, 768],
  [1, 1, 1],
  [3, 5],
  [2, 3, 3, 33],
  [7, 64],
  [5, 65],
  [2, 1000],
];

forCases(
  "layerNorm",
  rows,
  (shape) => `[${shape}]`,
  async ({ device, dtype, item: shape }) => {
    const data = dataOf({ x: shape, groups: 1 }, dtype);
    const build = (bench: Bench) =>
      layerNorm(bench.input(data.x), bench.scope("norm", { weight: data.weight, bias: data.bias }), { eps: 1e-4 });
    const expected = reference.layerNorm(data.x, { ...data, eps: 1e-4 }).values;
    for (const software of [false, true]) {
      const [y] = await runGraph(device, dtype, build, { software });
      expectClose(y!, expected, tolerance[dtype]);
    }
  },
);

forCases(
  "layerNorm",
  [1000],
  (mean) => `of numbers about ${mean}`,
  async ({ device, dtype, item: mean }) => {
    if (dtype === "f16") return;
    const data = dataOf({ x: [3, 768], groups: 1, mean }, dtype);
    const [y] = await runGraph(device, dtype, (bench) =>
      layerNorm(bench.input(data.x), bench.scope("norm", { weight: data.weight, bias: data.bias })),
    );
    expectClose(y!, reference.layerNorm(data.x, data).values, 1e-8); // steps of 6e-5 in the input
  },
);

forCases(
  "softmax",
  rows,
  (shape) => `[${shape}]`,
  async ({ device, dtype, item: shape }) => {
    for (const scale of [1, 100]) {
      const x = random("x", shape, { dtype, scale });
      for (const software of [false, true]) {
        const [y] = await runGraph(device, dtype, (bench) => softmax(bench.input(x)), { software });
        expectClose(y!, reference.softmax(x).values, tolerance[dtype]);
      }
    }
  },
);
