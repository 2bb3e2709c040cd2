import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, sameShape, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { type AttentionBlock, chooseAttentionBlock, emitMatrixAttention } from "./attentionMatrix.js";
import type { attentionReferenceKernel } from "./attentionReference.js";

export const attentionKernel = defineKernel({
  name: "attention",
  code: () => import("../../shaders/attention.wgsl"),
  reads: ["q", "k", "v"],
  writes: ["y"],
  params: { queries: "u32", keys: "u32", headSize: "u32", scale: "f32" },
  consts: ["T", "SLICES", "VECTOR", "CAUSAL"],
});

export const attentionRowsKernel = defineKernel({
  name: "attentionRows",
  code: () => import("../../shaders/attentionRows.wgsl"),
  reads: ["q", "k", "v"],
  writes: ["y"],
  params: { queries: "u32", keys: "u32", headSize: "u32", scale: "f32" },
  consts: ["T", "QUADS", "ROWS", "LINES", "KEYS", "STEP", "CAUSAL"],
});

/** How attentionRows.wgsl is specialised. */
export type AttentionRows = Readonly<Record<"QUADS" | "ROWS" | "LINES" | "KEYS" | "STEP", number>>;

/** Undefined where attention.wgsl does better. */
export function rowsShape(headSize: number, queries: number): AttentionRows | undefined {
  if (headSize % 4 !== 0 || headSize > 80) return undefined;
  const QUADS = [2, 10, 16, 20].find((quads) => 4 * quads >= headSize)!; // a few pipelines serve all sizes
  const LINES = queries > 256 ? 128 : 32;
  if (QUADS <= 10) return { QUADS, ROWS: 2, LINES, KEYS: 32, STEP: 8 };
  return { QUADS, ROWS: 1, LINES, KEYS: 16, STEP: QUADS === 16 ? 4 : 8 };
}

export const attentionDirectKernel = defineKernel({
  name: "attentionDirect",
  code: () => import("../../shaders/attentionDirect.wgsl"),
  reads: ["q", "k", "v"],
  writes: ["y"],
  params: { queries: "u32", keys: "u32", headSize: "u32", scale: "f32", block: "u32" },
  consts: ["T", "QUADS", "SUBGROUP", "CAUSAL"],
});

/** How attention works; only `heads` is needed. */
export interface AttentionOptions {
  /** Attention heads, which share the channels. */
  readonly heads: number;
  /** A query sees keys up to its own position only. */
  readonly causal?: boolean;
  /** Factor on the scores; 1 / sqrt(head size) by default. */
  readonly scale?: number;
  /** The device and the shape decide by default. */
  readonly variant?: "flash" | "direct" | "matrix" | typeof attentionReferenceKernel;
  /** How the matrix form is cut up: for tests and tuning. @internal */
  readonly block?: AttentionBlock;
  /** How the form of whole rows is specialised, or false for attention.wgsl: for tests and tuning. @internal */
  readonly rows?: AttentionRows | false;
}

/**
 * Scaled dot-product attention. q [N, Tq, C], k and v [N, Tk, C]; the C channels split into `heads` contiguous heads of
 * at most 1024 channels.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, given: AttentionOptions): Tensor {
  const options = q.graph.forms?.choose("attention", [q, k, v], given) ?? given;
  const { heads, causal = false } = options;
  const show = `q ${showShape(q.shape)}, k ${showShape(k.shape)}, v ${showShape(v.shape)}`;
  invariant(
    [q, k, v].every((t) => t.shape.length === 3),
    `attention: ${show}, expected [N, T, C] each`,
  );
  const [n, queries, width] = q.shape as [number, number, number];
  const keys = k.shape[1]!;
  const joins = k.shape[0] === n && k.shape[2] === width && sameShape(k.shape, v.shape);
  invariant(joins && q.dtype === k.dtype && k.dtype === v.dtype, `attention: ${show} do not go together`);
  invariant(width % heads === 0, `attention: ${width} channels do not split into ${heads} heads`);
  const headSize = width / heads;
  invariant(headSize <= 1024, `attention: a head has ${headSize} channels, expected at most 1024`);
  const { matrix, software, subgroup = 0 } = q.graph;
  const sharing = subgroup >= 8 ? 8 : subgroup;
  const takesDirect = headSize % 4 === 0 && sharing >= 4;
  // Drivers on CPUs compile the direct form of larger heads for half a minute.
  const direct = software && takesDirect && headSize <= 512;
  const usual = matrix && q.dtype === "f16" && chooseAttentionBlock(headSize, keys, matrix) ? "matrix" : "flash";
  const variant = options.variant ?? (direct ? "direct" : usual);
  const scale = options.scale ?? headSize ** -0.5;
  const y = q.graph.empty(q.shape, q.dtype);
  const reads = { q, k, v };
  // Such drivers compile whole rows for minutes.
  const rows = options.rows ?? (software ? false : rowsShape(headSize, queries));
  if (typeof variant === "object") {
    const count = sizeOf(y.shape);
    q.graph.emit(variant, {
      reads,
      writes: { y },
      params: { queries, keys, headSize, scale, heads, count },
      consts: { T: q.dtype, CAUSAL: causal ? 1 : 0 },
      grid: linearGrid(ceilDiv(count, 64)),
    });
  } else if (variant === "matrix") {
    const { block } = options;
    emitMatrixAttention(q, k, v, y, { heads, scale, causal, ...(block && { block }) });
  } else if (variant === "direct") {
    invariant(
      takesDirect,
      `attention: the direct variant needs heads of a multiple of 4 and subgroups of 4 or more, got ${headSize} and ${subgroup}`,
    );
    q.graph.emit(attentionDirectKernel, {
      reads,
      writes: { y },
      params: { queries, keys, headSize, scale, block: 8 },
      consts: { T: q.dtype, QUADS: headSize / 4, SUBGROUP: sharing, CAUSAL: causal ? 1 : 0 },
      grid: [ceilDiv(queries, 32), heads, n],
    });
  } else if (rows) {
    q.graph.emit(attentionRowsKernel, {
      reads,
      writes: { y },
      params: { queries, keys, headSize, scale },
      consts: { T: q.dtype, ...rows, CAUSAL: causal ? 1 : 0 },
      grid: [ceilDiv(queries, rows.LINES * rows.ROWS), heads, n],
    });
  } else {
    q.graph.emit(attentionKernel, {
      reads,
      writes: { y },
      params: { queries, keys, headSize, scale },
      consts: { T: q.dtype, SLICES: ceilDiv(headSize, 32), VECTOR: headSize % 4 === 0 ? 1 : 0, CAUSAL: causal ? 1 : 0 },
      grid: [ceilDiv(queries, 32), heads, n],
    });
  }
  return y;
}
