// kernels: linear, linearReference, linearRows, sumSplits
import { describe, expect, it } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import type { Shape } from "../../src/core/shape.js";
import { type Activation, activation } from "../../src/ops/activation.js";
import { linear } from "../../src/ops/linear.js";
import { linearReferenceKernel } from "../../src/ops/linearReference.js";
import type { MatrixBlock } from "../../src/ops/matrixBlock.js";
import { blocks, chooseTile, takesGates, tilingOf } from "../../src/ops/tile.js";
import { Bench, constant, expectClose, forCases, forMatrixCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "./reference.js";

interface Case {
  readonly x: Shape;
  readonly out: number;
  readonly bias?: boolean;
  readonly channelBias?: boolean;
  readonly residual?: boolean;
  readonly act?: Activation;
  readonly actIn?: Activation;
  readonly to?: DType;
  readonly pointwise?: boolean;
  /** The weight holds as many gates as values. */
  readonly gated?: boolean;
  /** Block of the tiled form, as rows x columns; chosen by the shape when absent. */
  readonly block?: string;
  /** Workgroups that share its inner axis. */
  readonly splits?: number;
}

const variants = ["tiled", "rows", "direct", linearReferenceKernel] as const;
type Variant = (typeof variants)[number];
const nameOf = (variant: Variant) => (typeof variant === "string" ? variant : "reference");

/** The direct form takes input features by fours, that for few rows does too and adds nothing at the end. */
const suits = (variant: Variant, { x, channelBias, residual }: Case) => {
  if (typeof variant !== "string" || variant === "tiled") return true;
  if (x.at(-1)! % 4 !== 0) return false;
  const rows = x.slice(0, -1).reduce((a, b) => a * b);
  return variant === "direct" || (rows <= 4 && !channelBias && !residual);
};

const cases: readonly Case[] = [
  { x: [2, 77, 64], out: 40, bias: true },
  { x: [1, 1, 1], out: 1, bias: true },
  { x: [1, 1, 320], out: 128, bias: true },
  { x: [2, 1, 1280], out: 33, bias: true, actIn: "silu", to: "f32" },
  { x: [1, 3, 20], out: 7, act: "gelu" },
  { x: [4, 1, 12], out: 9, bias: true, pointwise: true },
  { x: [3, 5, 7], out: 33, bias: true },
  { x: [2, 13, 17, 5], out: 3, bias: true },
  { x: [1, 9, 33], out: 65 },
  { x: [2, 9, 20], out: 12, channelBias: true, act: "gelu", residual: true },
  { x: [3, 4, 4, 12], out: 7, bias: true, channelBias: true, act: "silu", actIn: "silu", residual: true },
  { x: [2, 11, 6], out: 10, bias: true, residual: true, actIn: "quickGelu", to: "f32" },
  { x: [2, 5, 5, 16], out: 24, bias: true, pointwise: true, to: "f32" },
  { x: [1, 256, 40], out: 128, bias: true },
  { x: [1, 250, 22], out: 130, bias: true },
  { x: [1, 1024, 8], out: 1000, bias: true },
  { x: [1, 1000, 6], out: 1024, bias: true },
  { x: [2, 33, 12], out: 48, bias: true, gated: true, act: "gelu" },
  { x: [1, 70, 20], out: 37, gated: true, act: "geluTanh" },
  { x: [2, 9, 5, 7], out: 3, bias: true, gated: true, act: "gelu" },
  { x: [1, 1, 8], out: 1, bias: true, gated: true, act: "gelu" },
  { x: [3, 1, 40], out: 13, bias: true, gated: true, act: "silu", actIn: "silu", to: "f32" },
  { x: [2, 5, 16], out: 66, bias: true, gated: true, pointwise: true },
  { x: [1, 140, 32], out: 130, bias: true, gated: true, act: "gelu" },
];

// What a shape as small as this would not choose: every block, shared inner axes, a last share and a slice that hold less.
const blocked: readonly Case[] = [
  { x: [1, 130, 8], out: 64, bias: true, block: "128x64" },
  { x: [2, 67, 56], out: 132, bias: true, channelBias: true, residual: true, act: "silu", block: "128x64", splits: 3 },
  { x: [1, 66, 20], out: 68, bias: true, actIn: "silu", block: "64x64", splits: 2 },
  { x: [1, 65, 27], out: 63, bias: true, residual: true, to: "f32", block: "64x64", splits: 4 },
  { x: [2, 40, 24], out: 18, bias: true, block: "64x16", splits: 2 },
  { x: [1, 33, 40], out: 36, bias: true, block: "32x32", splits: 5 },
  { x: [2, 1, 64], out: 20, bias: true, act: "silu", block: "16x16", splits: 3 },
  { x: [1, 131, 24], out: 68, bias: true, gated: true, act: "gelu", block: "128x64" },
];

const show = (c: Case) => {
  const extras = Object.entries(c).filter(([key, value]) => value && !["x", "out"].includes(key));
  return [`[${c.x}] to ${c.out}`, ...extras.map(([key, value]) => (value === true ? key : `${key} ${value}`))].join(
    ", ",
  );
};

/** The numbers of a case. */
function dataOf(c: Case, dtype: DType) {
  const inner = c.x.at(-1)!;
  const random4 = (name: string, shape: Shape, scale = 1) => random(name, shape, { dtype, scale });
  return {
    x: random4("x", c.x),
    weight: random4("weight", [c.gated ? 2 * c.out : c.out, inner], inner ** -0.5),
    bias: c.bias ? random("bias", [c.gated ? 2 * c.out : c.out]) : undefined,
    channelBias: c.channelBias ? random4("channelBias", [c.x[0]!, c.out]) : undefined,
    residual: c.residual ? random4("residual", [...c.x.slice(0, -1), c.out]) : undefined,
  };
}

/** What a case comes to in float64. */
function expectedOf({ act, actIn, gated }: Case, data: ReturnType<typeof dataOf>) {
  const product = reference.linear(data.x, data.weight, { ...data, actIn, ...(!gated && { act }) });
  return gated ? reference.gated(product, act ?? "none") : product;
}

function record(
  bench: Bench,
  c: Case & { readonly matrixBlock?: MatrixBlock },
  data: ReturnType<typeof dataOf>,
  variant: Variant | "matrix",
) {
  const block = blocks.find(({ m, n }) => `${m}x${n}` === c.block);
  const shape = c.pointwise ? [...data.weight.shape, 1, 1] : data.weight.shape;
  const weight = { ...data.weight, shape };
  return linear(bench.input(data.x), bench.scope("layer", { weight, ...(data.bias && { bias: data.bias }) }), {
    out: c.out,
    variant,
    bias: c.bias ?? false,
    pointwise: c.pointwise ?? false,
    gated: c.gated ?? false,
    ...(block && { tiling: tilingOf(block, c.x.at(-1)!, c.splits ?? 1) }),
    ...(c.act && { act: c.act }),
    ...(c.actIn && { actIn: c.actIn }),
    ...(c.to && { dtype: c.to }),
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
  const suited = [...cases, ...(variant === "tiled" ? blocked : [])].filter((c) => suits(variant, c));
  forCases(
    `linear, ${nameOf(variant)}${shared ? " in subgroups" : ""}`,
    suited,
    show,
    async ({ device, dtype, item, skip }) => {
      const { subgroup } = device.features;
      if (shared && subgroup !== 4 && subgroup !== 8) skip("for subgroups of 4 or 8");
      const data = dataOf(item, dtype);
      const build = (bench: Bench) => record(bench, item, data, variant);
      const [y] = await runGraph(device, dtype, build, shared ? { subgroup } : {});
      expectClose(y!, expectedOf(item, data).values, tolerance[dtype]);
    },
  );
}

describe("the cases", () => {
  it("reach every block", () => {
    expect(new Set(blocked.map(({ block }) => block))).toEqual(new Set(blocks.map(({ m, n }) => `${m}x${n}`)));
  });
});

describe("the choice of blocks", () => {
  const choice = (rows: number, outputs: number, inner: number): string => {
    const { m, n, splits } = chooseTile(rows, outputs, inner);
    return `${m}x${n} in ${splits}`;
  };
  it("keeps a large GPU busy", () => {
    expect(choice(8192, 2560, 320)).toBe("128x64 in 1");
    expect(choice(512, 1280, 11520)).toBe("128x64 in 8");
    expect(choice(2, 1280, 1280)).toMatch(/^16x16/);
  });
  it("leaves the inner axis of a gated product whole", () => {
    for (const [rows, outputs, inner] of [
      [512, 1280, 11520],
      [2, 1280, 1280],
      [8192, 2560, 320],
    ] as const) {
      expect(takesGates(chooseTile(rows, outputs, inner, true))).toBe(true);
    }
  });
  it("bounds the memory of shared sums", () => {
    for (const rows of [1, 100, 4096, 100_000]) {
      for (const inner of [1, 320, 23040]) {
        const { splits, share } = chooseTile(rows, 320, inner);
        expect(splits === 1 || splits * rows * 320 <= 6 << 20).toBe(true);
        expect((splits - 1) * share * 8).toBeLessThan(inner); // no share is empty
      }
    }
  });
});

forCases(
  "linear",
  variants,
  (variant) => `${nameOf(variant)}: sums in float32`,
  async ({ device, dtype, item: variant }) => {
    const weight = constant([5, 2880], 1);
    const [y] = await runGraph(device, dtype, (bench) =>
      linear(bench.input(constant([1, 3, 2880], 1)), bench.scope("layer", { weight }), {
        out: 5,
        bias: false,
        variant,
      }),
    );
    expect([...y!]).toEqual(new Array(15).fill(2880));
  },
);

forCases(
  "linear",
  variants.filter((variant) => variant !== "rows"),
  (v) => `${nameOf(v)}: fused equals composed`,
  async ({ device, dtype, item: variant }) => {
    const c: Case = { x: [2, 9, 20], out: 12, bias: true, residual: true, act: "silu", actIn: "silu" };
    const data = dataOf(c, dtype);
    const [fused, composed] = await runGraph(device, dtype, (bench) => {
      const x = activation(bench.input(data.x), "silu");
      const w = bench.scope("layer", { weight: data.weight, bias: data.bias! });
      return [record(bench, c, data, variant), activation(linear(x, w, { out: 12, variant }), "silu")];
    });
    const sum = composed!.map((v, i) => v + data.residual!.values[i]!);
    expectClose(fused!, sum, tolerance[dtype]);
  },
);

const matrixCases: readonly (Case & { readonly matrixBlock?: MatrixBlock })[] = [
  { x: [2, 77, 64], out: 40, bias: true },
  { x: [1, 300, 320], out: 320, bias: true, residual: true },
  { x: [1, 130, 64], out: 2560, bias: true },
  { x: [3, 5, 96], out: 36, act: "gelu", actIn: "silu" },
  { x: [2, 70, 128], out: 100, bias: true, channelBias: true, residual: true, to: "f32" },
  { x: [2, 9, 32], out: 64, pointwise: true },
  { x: [1, 300, 320], out: 1280, bias: true, gated: true, act: "gelu" },
  { x: [2, 77, 64], out: 100, gated: true, act: "geluTanh", to: "f32" },
  { x: [1, 4000, 320], out: 1280, bias: true, gated: true, act: "gelu" },
  { x: [1, 200, 1280], out: 132, bias: true, residual: true },
  ...[
    { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 2, depth: 32, buffers: 2, splits: 1 },
    { rows: 128, columns: 160, acrossRows: 2, acrossColumns: 2, depth: 32, buffers: 1, splits: 3 },
    { rows: 64, columns: 64, acrossRows: 2, acrossColumns: 1, depth: 64, buffers: 1, splits: 2 },
  ].map((matrixBlock) => ({ x: [1, 150, 640], out: 200, bias: true, residual: true, matrixBlock })),
  ...[
    { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 4, depth: 64, buffers: 1, splits: 1 },
    { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 2, depth: 32, buffers: 2, splits: 1 },
  ].map((matrixBlock) => ({ x: [1, 150, 640], out: 200, bias: true, gated: true, act: "gelu", matrixBlock }) as const),
];
forMatrixCases(
  "linear, matrix",
  matrixCases,
  (c) => `${show(c)}`,
  async ({ device, dtype, item, matrix }) => {
    const data = dataOf(item, dtype);
    const build = (bench: Bench) => record(bench, item, data, "matrix");
    const [y] = await runGraph(device, dtype, build, { matrix });
    expectClose(y!, expectedOf(item, data).values, tolerance[dtype]);
  },
);

forMatrixCases(
  "linear, matrix",
  [2880],
  (n) => `sums ${n} ones in float32`,
  async ({ device, dtype, item, matrix }) => {
    const weight = constant([8, item], 1);
    const [y] = await runGraph(
      device,
      dtype,
      (bench) => {
        const w = bench.scope("layer", { weight });
        return linear(bench.input(constant([1, 3, item], 1)), w, { out: 8, bias: false, variant: "matrix" });
      },
      { matrix },
    );
    expect([...y!]).toEqual(new Array(24).fill(item));
  },
);

describe("linear", () => {
  const bench = new Bench("f32");
  const x = bench.input(random("x", [2, 3, 4]));
  const w = bench.scope("blocks.0", {});
  it("refuses a residual and a channel bias of other shapes", () => {
    expect(() => linear(x, w, { out: 5, residual: x })).toThrow(/linear blocks\.0: residual is \[2, 3, 4\]/);
    expect(() => linear(x, w, { out: 5, channelBias: x })).toThrow(/linear blocks\.0: channel bias is \[2, 3, 4\]/);
  });
  it("adds nothing to a gated map, and wants blocks that hold gates with their values", () => {
    const gated = { out: 4, gated: true, act: "gelu" } as const;
    expect(() => linear(x, w, { ...gated, residual: x })).toThrow(/linear blocks\.0: gated, expected no residual/);
    expect(() => linear(x, w, { ...gated, channelBias: x })).toThrow(/linear blocks\.0: gated, expected no residual/);
    const narrow = tilingOf(blocks.find(({ n }) => n === 16)!, 4, 1);
    expect(() => linear(x, w.at("up"), { ...gated, tiling: narrow })).toThrow(
      /linear blocks\.0\.up: gated, in blocks of 1 quads/,
    );
  });
});
