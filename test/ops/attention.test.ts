// kernels: attention, attentionRows, attentionDirect, attentionReference, attentionMatrix
import { describe, expect, it } from "vitest";
import type { Shape } from "../../src/core/shape.js";
import type { Features } from "../../src/gpu/device.js";
import { attention, rowsShape } from "../../src/ops/attention.js";
import type { AttentionBlock } from "../../src/ops/attentionMatrix.js";
import { attentionReferenceKernel } from "../../src/ops/attentionReference.js";
import { Bench, constant, expectClose, forCases, forMatrixCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "./reference.js";

interface Case {
  readonly batch?: number;
  readonly heads: number;
  readonly size: number;
  readonly queries: number;
  readonly keys: number;
  readonly causal?: boolean;
  readonly scale?: number;
  /** Spread of the queries; large ones make large scores. */
  readonly spread?: number;
  /** Error allowed in f32 when it differs: scores of about 100 carry 1e-5 of rounding into the exponential. */
  readonly limit?: number;
}

const cases: readonly Case[] = [
  { heads: 1, size: 4, queries: 1, keys: 1 },
  { heads: 3, size: 8, queries: 33, keys: 5, batch: 2 },
  { heads: 2, size: 10, queries: 17, keys: 77 },
  { heads: 2, size: 3, queries: 5, keys: 33, batch: 3 },
  { heads: 2, size: 32, queries: 64, keys: 64 },
  { heads: 2, size: 40, queries: 40, keys: 77, batch: 2 },
  { heads: 2, size: 64, queries: 77, keys: 77, causal: true },
  { heads: 2, size: 80, queries: 20, keys: 20 },
  { heads: 1, size: 160, queries: 16, keys: 77 },
  { heads: 1, size: 512, queries: 40, keys: 40 },
  { heads: 1, size: 960, queries: 33, keys: 40 },
  { heads: 2, size: 40, queries: 9, keys: 300, batch: 3 },
  { heads: 1, size: 36, queries: 300, keys: 70, batch: 2 },
  { heads: 1, size: 8, queries: 520, keys: 520, causal: true },
  { heads: 1, size: 52, queries: 34, keys: 17 },
  { heads: 2, size: 84, queries: 20, keys: 33 },
  { heads: 2, size: 8, queries: 70, keys: 70, causal: true, batch: 2 },
  { heads: 2, size: 10, queries: 1, keys: 1, causal: true },
  { heads: 1, size: 64, queries: 33, keys: 65, spread: 100, limit: 1e-9 },
  { heads: 2, size: 8, queries: 50, keys: 50, spread: 100, causal: true, limit: 1e-9 },
  { heads: 2, size: 8, queries: 20, keys: 20, scale: 1 },
];

const show = (c: Case) => {
  const extras = Object.entries(c).filter(([key]) => ["causal", "scale", "spread"].includes(key));
  return [
    `${c.batch ?? 1} x ${c.heads} heads of ${c.size}, ${c.queries} x ${c.keys}`,
    ...extras.map(([key, value]) => (value === true ? key : `${key} ${value}`)),
  ].join(", ");
};

const variants = ["flash", "rows", "direct", attentionReferenceKernel] as const;
type Variant = (typeof variants)[number];
const nameOf = (variant: Variant) => (typeof variant === "string" ? variant : "reference");

const suits = (variant: Variant, size: number) => {
  if (variant === "rows") return rowsShape(size, 1) !== undefined;
  return variant !== "direct" || (size % 4 === 0 && size <= 512);
};

/** What chooses this form for heads of this size. */
function formOf(variant: Variant, size: number, queries: number) {
  if (variant === "flash") return { variant, rows: false } as const;
  if (variant === "rows") return { variant: "flash", rows: rowsShape(size, queries)! } as const;
  return { variant } as const;
}

/** Why a device does not compute this form; empty where it does. */
function excuse(variant: Variant, size: number, { software, f16, subgroup = 0 }: Features): string {
  // It keeps a whole row in registers: drivers of GPUs refuse what those on CPUs take.
  if (variant === "direct" && size > 256 && !software) return "a form for adapters on a CPU";
  if (variant === "direct" && subgroup < 4) return "for subgroups of 4 or more";
  // Lavapipe deals out registers for a minute where SwiftShader (without f16) takes a second.
  const many = variant === "rows" || (variant === "flash" && size > 32);
  return many && software && f16 ? "lavapipe's compiler takes a minute" : "";
}

for (const variant of variants) {
  const suited = cases.filter(({ size }) => suits(variant, size));
  forCases(`attention, ${nameOf(variant)}`, suited, show, async ({ device, dtype, item, skip }) => {
    const { subgroup } = device.features;
    const reason = excuse(variant, item.size, device.features);
    if (reason) skip(reason);
    const { batch = 1, heads, size, queries, keys, causal = false, scale } = item;
    const width = heads * size;
    const shape = (length: number): Shape => [batch, length, width];
    const q = random("q", shape(queries), { dtype, scale: item.spread ?? 1 });
    const k = random("k", shape(keys), { dtype });
    const v = random("v", shape(keys), { dtype });
    const options = { heads, causal, ...(scale !== undefined && { scale }) };
    const form = formOf(variant, size, queries);
    const build = (bench: Bench) => attention(bench.input(q), bench.input(k), bench.input(v), { ...options, ...form });
    const [y] = await runGraph(device, dtype, build, { subgroup });
    const expected = reference.attention(q, k, v, options);
    expectClose(y!, expected.values, Math.max(tolerance[dtype], item.limit ?? 0));
  });
}

/** What the matrix units take in other ways than the cases above. */
const matrixCases: readonly (Case & { readonly block?: AttentionBlock })[] = [
  ...cases.filter(({ size }) => size % 8 === 0 && size <= 512),
  { heads: 2, size: 40, queries: 300, keys: 200, batch: 2 },
  { heads: 2, size: 80, queries: 70, keys: 130 },
  { heads: 1, size: 160, queries: 65, keys: 90 },
  { heads: 2, size: 512, queries: 40, keys: 70 },
  { heads: 2, size: 64, queries: 130, keys: 130, spread: 40, limit: 1e-5 },
  { heads: 2, size: 64, queries: 130, keys: 130, causal: true, spread: 40, limit: 1e-5 },
  { heads: 2, size: 40, queries: 130, keys: 150, block: { keys: 32, rows: 2, subgroups: 4 } },
  { heads: 2, size: 40, queries: 130, keys: 150, block: { keys: 64, rows: 1, subgroups: 4 } },
  { heads: 2, size: 40, queries: 130, keys: 150, block: { keys: 16, rows: 1, subgroups: 2 } },
];
forMatrixCases(
  "attention, matrix",
  matrixCases,
  (c) => `${show(c)}${c.block ? `, ${Object.values(c.block)}` : ""}`,
  async (run) => {
    const { device, dtype, item, matrix } = run;
    const { batch = 1, heads, size, queries, keys, causal = false, scale, block } = item;
    const shape = (length: number): Shape => [batch, length, heads * size];
    const q = random("q", shape(queries), { dtype, scale: item.spread ?? 1 });
    const k = random("k", shape(keys), { dtype });
    const v = random("v", shape(keys), { dtype });
    const options = { heads, causal, ...(scale !== undefined && { scale }) };
    const [y] = await runGraph(
      device,
      dtype,
      (bench) =>
        attention(bench.input(q), bench.input(k), bench.input(v), {
          ...options,
          variant: "matrix",
          ...(block && { block }),
        }),
      { matrix },
    );
    const expected = reference.attention(q, k, v, options);
    expectClose(y!, expected.values, Math.max(tolerance[dtype], item.limit ?? 0));
  },
);

forCases(
  "attention",
  variants,
  (v) => `${nameOf(v)}: keeps a constant value exactly`,
  async ({ device, dtype, item: variant, skip }) => {
    const { subgroup } = device.features;
    const reason = excuse(variant, 64, device.features);
    if (reason) skip(reason);
    const q = random("q", [1, 40, 64], { dtype, scale: 30 });
    const build = (bench: Bench) => {
      const values = bench.input(constant([1, 40, 64], 0.5));
      return attention(bench.input(q), bench.input(q), values, { heads: 1, ...formOf(variant, 64, 40) });
    };
    const [y] = await runGraph(device, dtype, build, { subgroup });
    expectClose(y!, new Float32Array(y!.length).fill(0.5), 1e-12);
  },
);

describe("attention", () => {
  const bench = new Bench("f32");
  const x = (...shape: number[]) => bench.graph.input("x", shape, "f32", "step");
  it("refuses what does not go together", () => {
    expect(() => attention(x(1, 4, 8), x(1, 5, 8), x(1, 4, 8), { heads: 2 })).toThrow(/do not go together/);
    expect(() => attention(x(1, 4, 8), x(1, 5, 6), x(1, 5, 6), { heads: 2 })).toThrow(/do not go together/);
    expect(() => attention(x(1, 4, 9), x(1, 4, 9), x(1, 4, 9), { heads: 2 })).toThrow(
      /9 channels do not split into 2 heads/,
    );
    expect(() => attention(x(1, 4, 1032), x(1, 4, 1032), x(1, 4, 1032), { heads: 1 })).toThrow(/at most 1024/);
  });
});
