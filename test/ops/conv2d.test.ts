// kernels: conv2d, conv2dDirect, conv2dSubgroup, conv2dReference, conv2dMatrix, sumSplits
// kernels: winogradWeight, winogradInput, winogradProduct, winogradOutput
import { describe, expect, it } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import type { Shape } from "../../src/core/shape.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { type Activation, activation } from "../../src/ops/activation.js";
import { conv2d } from "../../src/ops/conv2d.js";
import { conv2dReferenceKernel } from "../../src/ops/conv2dReference.js";
import { winograd } from "../../src/ops/conv2dWinograd.js";
import type { MatrixBlock } from "../../src/ops/matrixBlock.js";
import { resizeNearest } from "../../src/ops/resize.js";
import { blocks, tilingOf } from "../../src/ops/tile.js";
import { Bench, constant, expectClose, forCases, forMatrixCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "./reference.js";

interface Case {
  readonly x: Shape;
  readonly out: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly pad?: readonly [number, number, number, number];
  readonly resize?: readonly [number, number];
  readonly bias?: boolean;
  readonly channelBias?: boolean;
  readonly residual?: boolean;
  readonly act?: Activation;
  readonly actIn?: Activation;
  readonly to?: DType;
  /** Block of the tiled form, as rows x columns; chosen by the shape when absent. */
  readonly block?: string;
  /** Workgroups that share its inner axis. */
  readonly splits?: number;
}

const variants = ["tiled", "direct", conv2dReferenceKernel] as const;
type Variant = (typeof variants)[number];
const nameOf = (variant: Variant) => (typeof variant === "string" ? variant : "reference");

/** The direct form takes input channels by fours. */
const suits = (variant: Variant, channels: number) => variant !== "direct" || channels % 4 === 0;

const cases: readonly Case[] = [
  { x: [1, 8, 8, 320], out: 32, bias: true },
  { x: [2, 8, 8, 64], out: 4, bias: true },
  { x: [1, 8, 8, 4], out: 64, bias: true },
  { x: [1, 1, 1, 8], out: 8, bias: true },
  { x: [3, 13, 17, 5], out: 7, bias: true },
  { x: [1, 9, 7, 33], out: 3, bias: true },
  { x: [2, 6, 5, 1], out: 1, bias: true },
  { x: [1, 6, 6, 3], out: 33, bias: true, kernel: 5 },
  { x: [2, 5, 6, 12], out: 20, bias: true, kernel: 5 },
  { x: [2, 7, 6, 20], out: 9, bias: true, kernel: 1 },
  { x: [1, 16, 16, 8], out: 8, bias: true, stride: 2, pad: [0, 1, 0, 1] },
  { x: [2, 13, 17, 8], out: 8, bias: true, stride: 2, pad: [0, 1, 0, 1] },
  { x: [2, 13, 17, 3], out: 8, bias: true, stride: 2 },
  { x: [1, 9, 11, 8], out: 4, bias: true, pad: [2, 0, 1, 3] },
  { x: [1, 12, 12, 4], out: 8, bias: true, stride: 4, kernel: 4, pad: [0, 0, 0, 0] },
  { x: [2, 8, 8, 16], out: 8, bias: true, resize: [16, 16] },
  { x: [2, 4, 5, 8], out: 5, bias: true, resize: [7, 9] },
  { x: [1, 7, 9, 3], out: 4, bias: true, resize: [13, 17], stride: 2 },
  { x: [2, 6, 5, 8], out: 6, channelBias: true, act: "gelu", residual: true },
  { x: [2, 6, 5, 8], out: 6, bias: true, channelBias: true, act: "silu", actIn: "silu", residual: true },
  { x: [3, 5, 4, 6], out: 5, bias: true, residual: true, actIn: "silu", resize: [9, 8], to: "f32" },
  { x: [2, 32, 32, 8], out: 16, bias: true },
  { x: [1, 31, 33, 6], out: 31, bias: true },
  { x: [1, 128, 128, 3], out: 8, bias: true },
];

// What a shape as small as this would not choose: every block, shared inner axes, a last share and a slice that hold less.
const blocked: readonly Case[] = [
  { x: [2, 11, 13, 16], out: 72, bias: true, block: "128x64" },
  { x: [2, 11, 13, 16], out: 72, channelBias: true, residual: true, act: "silu", block: "128x64", splits: 5 },
  { x: [1, 9, 11, 12], out: 68, bias: true, block: "64x64", splits: 3 },
  { x: [3, 5, 7, 7], out: 65, bias: true, residual: true, to: "f32", block: "64x64", splits: 2 },
  { x: [1, 9, 15, 24], out: 5, bias: true, block: "64x16" },
  { x: [2, 7, 9, 8], out: 36, bias: true, resize: [9, 14], block: "32x32", splits: 9 },
  { x: [1, 5, 5, 8], out: 20, bias: true, block: "16x16", splits: 2 },
];

const show = (c: Case) => {
  const extras = Object.entries(c).filter(([key, value]) => value && !["x", "out"].includes(key));
  return [`[${c.x}] to ${c.out}`, ...extras.map(([key, value]) => (value === true ? key : `${key} ${value}`))].join(
    ", ",
  );
};

const outSize = ({ x, kernel = 3, stride = 1, pad, resize }: Case): [number, number] => {
  const half = Math.floor(kernel / 2);
  const [left, right, top, bottom] = pad ?? [half, half, half, half];
  const [height, width] = resize ?? [x[1]!, x[2]!];
  return [
    Math.floor((height + top + bottom - kernel) / stride) + 1,
    Math.floor((width + left + right - kernel) / stride) + 1,
  ];
};

function dataOf(c: Case, dtype: DType) {
  const channels = c.x[3]!;
  const kernel = c.kernel ?? 3;
  const typed = (name: string, shape: Shape, scale = 1) => random(name, shape, { dtype, scale });
  return {
    x: typed("x", c.x),
    weight: typed("weight", [c.out, channels, kernel, kernel], (channels * kernel * kernel) ** -0.5),
    bias: c.bias ? random("bias", [c.out]) : undefined,
    channelBias: c.channelBias ? typed("channelBias", [c.x[0]!, c.out]) : undefined,
    residual: c.residual ? typed("residual", [c.x[0]!, ...outSize(c), c.out]) : undefined,
  };
}

function record(
  bench: Bench,
  c: Case & { readonly matrixBlock?: MatrixBlock },
  data: ReturnType<typeof dataOf>,
  variant: Variant | "matrix" | "winograd",
) {
  const { out, kernel = 3, stride = 1, bias = false, act, actIn, pad, resize, to, splits = 1 } = c;
  const block = blocks.find(({ m, n }) => `${m}x${n}` === c.block);
  const w = bench.scope("layer", { weight: data.weight, ...(data.bias && { bias: data.bias }) });
  return conv2d(bench.input(data.x), w, {
    ...{ out, kernel, stride, bias, variant },
    ...(block && { tiling: tilingOf(block, kernel * kernel * c.x[3]!, splits) }),
    ...(act && { act }),
    ...(actIn && { actIn }),
    ...(pad && { pad }),
    ...(resize && { resize }),
    ...(to && { dtype: to }),
    ...(c.matrixBlock && { block: c.matrixBlock }),
    ...(data.channelBias && { channelBias: bench.input(data.channelBias) }),
    ...(data.residual && { residual: bench.input(data.residual) }),
  });
}

const forms = [
  ...variants.map((variant) => ({ variant, shared: false })),
  { variant: "direct", shared: true }, // loads are shared in subgroups
] as const;

for (const { variant, shared } of forms) {
  const suited = [...cases, ...(variant === "tiled" ? blocked : [])].filter((c) => suits(variant, c.x[3]!));
  forCases(
    `conv2d, ${nameOf(variant)}${shared ? " in subgroups" : ""}`,
    suited,
    show,
    async ({ device, dtype, item, skip }) => {
      const { subgroup } = device.features;
      if (shared && subgroup !== 4 && subgroup !== 8) skip("for subgroups of 4 or 8");
      const data = dataOf(item, dtype);
      const build = (bench: Bench) => record(bench, item, data, variant);
      const [y] = await runGraph(device, dtype, build, shared ? { subgroup } : {});
      const expected = reference.conv2d(data.x, data.weight, { ...item, ...data });
      expectClose(y!, expected.values, tolerance[dtype]);
    },
  );
}

const winogradCases: readonly Case[] = [
  { x: [1, 4, 4, 8], out: 4, bias: true },
  { x: [1, 8, 8, 320], out: 32, bias: true },
  { x: [1, 1, 1, 8], out: 8 },
  { x: [2, 13, 17, 16], out: 72, bias: true, channelBias: true, residual: true, act: "silu", actIn: "silu" },
  { x: [1, 9, 11, 8], out: 4, bias: true, pad: [2, 0, 1, 3] },
  { x: [2, 6, 5, 24], out: 20, bias: true, pad: [0, 0, 0, 0], to: "f32" },
  { x: [2, 8, 8, 16], out: 132, bias: true, resize: [16, 16] },
  { x: [1, 4, 5, 8], out: 8, resize: [7, 9], residual: true },
];
forCases("conv2d, winograd", winogradCases, show, async ({ device, dtype, item }) => {
  const data = dataOf(item, dtype);
  const build = (bench: Bench) => record(bench, item, data, "winograd");
  const [y] = await runGraph(device, dtype, build, { winograd });
  const expected = reference.conv2d(data.x, data.weight, { ...item, ...data });
  expectClose(y!, expected.values, tolerance[dtype]);
});

// Of the input, the output and the weight as a whole, and of what is made of them in bands and parts.
forCases(
  "conv2d, winograd in bands and parts",
  [2 ** 16, 2 ** 17],
  String,
  async ({ device, dtype, item: maxBinding }) => {
    const c: Case = { x: [1, 12, 13, 64], out: 28, bias: true, channelBias: true, residual: true };
    const data = dataOf(c, dtype);
    const build = (bench: Bench) => record(bench, c, data, "winograd");
    const [whole] = await runGraph(device, dtype, build, { winograd });
    expect(await runGraph(device, dtype, build, { winograd, maxBinding })).toEqual([whole]);
  },
);

const matrixCases: readonly (Case & { readonly matrixBlock?: MatrixBlock })[] = [
  { x: [1, 8, 8, 320], out: 32, bias: true },
  { x: [2, 13, 17, 64], out: 36, bias: true, channelBias: true, residual: true, act: "silu", actIn: "silu" },
  { x: [2, 7, 6, 32], out: 8, kernel: 1 },
  { x: [1, 6, 6, 96], out: 40, kernel: 5 },
  { x: [1, 16, 16, 64], out: 64, stride: 2, pad: [0, 1, 0, 1], bias: true },
  { x: [2, 13, 17, 64], out: 64, stride: 2, to: "f32" },
  { x: [2, 8, 8, 64], out: 64, resize: [16, 16], bias: true },
  { x: [2, 4, 5, 128], out: 4, resize: [7, 9] },
  { x: [2, 16, 16, 128], out: 320, bias: true, residual: true },
  { x: [1, 8, 8, 1280], out: 64, bias: true, channelBias: true, residual: true },
  ...[
    { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 2, depth: 32, buffers: 1, splits: 1 },
    { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 4, depth: 64, buffers: 1, splits: 4 },
    { rows: 64, columns: 64, acrossRows: 2, acrossColumns: 1, depth: 32, buffers: 2, splits: 5 },
  ].map((matrixBlock): Case & { readonly matrixBlock: MatrixBlock } => ({
    ...{ x: [2, 15, 14, 64], out: 132, bias: true, channelBias: true, residual: true, matrixBlock },
  })),
];
forMatrixCases("conv2d, matrix", matrixCases, show, async ({ device, dtype, item, matrix }) => {
  const data = dataOf(item, dtype);
  const [y] = await runGraph(device, dtype, (bench) => record(bench, item, data, "matrix"), { matrix });
  const expected = reference.conv2d(data.x, data.weight, { ...item, ...data });
  expectClose(y!, expected.values, tolerance[dtype]);
});

forMatrixCases("conv2d, matrix in bands", [2 ** 15], String, async ({ device, dtype, item: maxBinding, matrix }) => {
  const c: Case = { x: [2, 40, 24, 32], out: 12, bias: true, channelBias: true, residual: true };
  const data = dataOf(c, dtype);
  const build = (bench: Bench) => record(bench, c, data, "matrix");
  const [whole] = await runGraph(device, dtype, build, { matrix });
  expect(await runGraph(device, dtype, build, { matrix, maxBinding })).toEqual([whole]);
});

describe("the cases", () => {
  it("reach every block", () => {
    expect(new Set(blocked.map(({ block }) => block))).toEqual(new Set(blocks.map(({ m, n }) => `${m}x${n}`)));
  });
});

forCases(
  "conv2d",
  variants,
  (variant) => `${nameOf(variant)}: sums in float32`,
  async ({ device, dtype, item: variant }) => {
    const [y] = await runGraph(device, dtype, (bench) => {
      const w = bench.scope("layer", { weight: constant([4, 320, 3, 3], 1) });
      return conv2d(bench.input(constant([1, 3, 3, 320], 1)), w, { out: 4, bias: false, variant });
    });
    const taps = [4, 6, 4, 6, 9, 6, 4, 6, 4];
    expect([...y!]).toEqual(taps.flatMap((n) => new Array(4).fill(n * 320)));
  },
);

forCases(
  "conv2d",
  variants,
  (v) => `${nameOf(v)}: fused equals composed`,
  async ({ device, dtype, item: variant }) => {
    const c: Case = {
      x: [2, 5, 6, 8],
      out: 6,
      bias: true,
      residual: true,
      act: "silu",
      actIn: "silu",
      resize: [9, 13],
    };
    const data = dataOf(c, dtype);
    const [fused, composed] = await runGraph(device, dtype, (bench) => {
      const x = resizeNearest(activation(bench.input(data.x), "silu"), c.resize!);
      const w = bench.scope("layer", { weight: data.weight, bias: data.bias! });
      return [record(bench, c, data, variant), activation(conv2d(x, w, { out: 6, variant }), "silu")];
    });
    const sum = composed!.map((v, i) => v + data.residual!.values[i]!);
    expectClose(fused!, sum, tolerance[dtype]);
  },
);

// Bindings of 64 KiB or less, so that each of these takes several calls.
const banded: readonly (Case & { readonly maxBinding: number })[] = [
  { x: [1, 64, 32, 16], out: 8, bias: true, maxBinding: 2 ** 16 },
  { x: [1, 64, 32, 8], out: 16, bias: true, residual: true, maxBinding: 2 ** 16 },
  { x: [2, 40, 24, 16], out: 12, bias: true, channelBias: true, residual: true, maxBinding: 2 ** 15 },
  { x: [1, 65, 33, 16], out: 8, bias: true, stride: 2, pad: [0, 1, 0, 1], maxBinding: 2 ** 16 },
  { x: [2, 33, 16, 32], out: 16, bias: true, stride: 2, maxBinding: 2 ** 15 },
  { x: [1, 32, 32, 16], out: 8, bias: true, resize: [64, 64], maxBinding: 2 ** 15 },
  { x: [2, 17, 16, 16], out: 4, bias: true, resize: [33, 31], actIn: "silu", maxBinding: 2 ** 15 },
  { x: [1, 48, 16, 24], out: 12, bias: true, kernel: 5, maxBinding: 2 ** 15 },
  { x: [1, 100, 16, 20], out: 12, bias: true, to: "f32", residual: true, maxBinding: 2 ** 15 },
  { x: [3, 1, 64, 64], out: 32, bias: true, kernel: 1, maxBinding: 2 ** 15 },
];

for (const variant of variants) {
  const name = (c: (typeof banded)[number]) => `${show(c)}: as in one piece`;
  const suited = banded.filter(({ actIn }) => variant !== "direct" || !actIn); // which it leaves to another call
  forCases(`conv2d in bands, ${variant}`, suited, name, async ({ device, dtype, item }) => {
    const data = dataOf(item, dtype);
    let calls = 0;
    const build = (bench: Bench) => {
      const y = record(bench, item, data, variant);
      calls = bench.graph.calls.length;
      return y;
    };
    const [whole] = await runGraph(device, dtype, build);
    expect(calls).toBe(1);
    const [pieces] = await runGraph(device, dtype, build, {
      maxBinding: dtype === "f16" ? item.maxBinding / 2 : item.maxBinding,
    });
    expect(calls).toBeGreaterThan(1);
    expect(pieces).toEqual(whole);
  });
}

describe("conv2d", () => {
  const bench = new Bench("f32");
  const x = bench.input(random("x", [2, 4, 4, 4]));
  const w = bench.scope("blocks.0", {});
  it("refuses what does not fit, with its name", () => {
    expect(() => conv2d(bench.input(random("x", [2, 4, 4])), w, { out: 4 })).toThrow(
      /conv2d blocks\.0: input is \[2, 4, 4\]/,
    );
    expect(() => conv2d(x, w, { out: 4, kernel: 5, pad: [0, 0, 0, 0] })).toThrow(/smaller than the kernel of 5/);
    expect(() => conv2d(x, w, { out: 5, residual: x })).toThrow(/conv2d blocks\.0: residual is/);
    expect(() => conv2d(x, w, { out: 5, channelBias: x })).toThrow(/conv2d blocks\.0: channel bias is/);
    for (const options of [{ out: 4 }, { out: 4, stride: 2 }, { out: 4, kernel: 1 }]) {
      expect(() => conv2d(x, w, { ...options, variant: "winograd" })).toThrow(
        /conv2d blocks\.0: Winograd's form is for/,
      );
    }
  });

  it("takes Winograd's form for large pictures, where it was fetched", () => {
    const kernels = (side: number, channels: number, options: object, traits: object) => {
      const graph = new Graph({ dtype: "f16", ...traits });
      const x = graph.input("x", [2, side, side, channels], "f16", "step");
      conv2d(x, new Scope(graph), { out: 320, ...options });
      return graph.calls.map(({ kernel, phase }) => `${phase} ${kernel.name}`);
    };
    const form = ["step winogradWeight", "step winogradInput", "step winogradProduct", "step winogradOutput"];
    expect([...new Set(kernels(64, 320, {}, { winograd }))]).toEqual(form);
    expect(kernels(64, 320, {}, {})[0]).toBe("step conv2d");
    expect(kernels(64, 320, { stride: 2 }, { winograd })[0]).toBe("step conv2d");
    expect(kernels(64, 320, { kernel: 1 }, { winograd })[0]).toBe("step conv2d");
    expect(kernels(8, 1280, {}, { winograd })[0]).toBe("step conv2d");
    expect(kernels(64, 36, {}, { winograd })[0]).toBe("step conv2d");
  });
});
