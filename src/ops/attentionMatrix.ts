import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import type { MatrixUnits } from "../core/matrixUnits.js";
import { alignUp, ceilDiv } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";

export const attentionMatrixKernel = defineKernel({
  name: "attentionMatrix",
  code: () => import("../../shaders/attentionMatrix.wgsl"),
  reads: ["q", "k", "v"],
  writes: ["y"],
  params: { queries: "u32", keys: "u32", headSize: "u32", scale: "f32" },
  consts: [
    ...["T", "DEPTH", "VALUES", "KEYS", "ROWS", "SUBGROUPS", "SUBGROUP", "MATRIX_M", "MATRIX_N", "MATRIX_K", "CAUSAL"],
  ],
});

/** How attention is cut up for the matrix units. */
export interface AttentionBlock {
  /** Keys at a time. */
  readonly keys: number;
  /** Matrices of a subgroup along the queries. */
  readonly rows: number;
  readonly subgroups: number;
  /** Workgroups that share a head; each computes all of its scores. */
  readonly parts?: number;
}

/** Bytes of workgroup memory that a block takes for heads of `depth` channels. */
export function attentionBytes(
  { keys, rows, subgroups, parts = 1 }: AttentionBlock,
  depth: number,
  units: MatrixUnits,
): number {
  const { m, n, subgroup } = units;
  const block = subgroups * rows * m;
  const lanes = subgroup / (rows * m);
  const pieces = depth / 8 + 1;
  const stage = Math.max(2 * keys * (pieces + depth / parts / 8 + 1), block * pieces) * 16;
  const scores = block * (keys / 4 + lanes) * 16;
  const weights = block * (keys / 4 + 2) * 8;
  return stage + scores + weights + subgroups * m * n * 4 + block * lanes * 4 + 16;
}

/**
 * From the fastest on: the first that suits the device is taken, tuning tries the next ones. On an H200, of 16 heads
 * 4096 x 4096 of 40 channels.
 */
const narrow: readonly AttentionBlock[] = [
  { keys: 32, rows: 2, subgroups: 4 }, // 0.561 ms
  { keys: 16, rows: 1, subgroups: 4 }, // 0.576 ms
  { keys: 16, rows: 2, subgroups: 4 }, // 0.659 ms
  { keys: 16, rows: 1, subgroups: 2 }, // 0.772 ms
];

/** Outputs of wider heads take the registers and the memory of more keys. On an H200, 16 x 1024 x 1024 of 80. */
const wide: readonly AttentionBlock[] = [
  { keys: 16, rows: 2, subgroups: 4 }, // 0.056 ms
  { keys: 32, rows: 1, subgroups: 4 }, // 0.071 ms
  { keys: 16, rows: 1, subgroups: 4 }, // 0.077 ms
  { keys: 16, rows: 1, subgroups: 2 }, // 0.092 ms
];

/** Narrow heads over few keys, such as those of a prompt: 0.026 ms of 77 keys, in the first block of `narrow` 0.037. */
const brief: readonly AttentionBlock[] = [
  { keys: 16, rows: 1, subgroups: 4 },
  { keys: 16, rows: 1, subgroups: 2 },
  { keys: 16, rows: 2, subgroups: 4 },
];
const fewKeys = 128;

/** Heads of more channels are shared by several workgroups. */
const widestAlone = 192;
const widest = 512;

/** Invocations that share a row of scores. */
const lanesOf = ({ rows }: AttentionBlock, { m, subgroup }: MatrixUnits): number => subgroup / (rows * m);

/** Blocks that the units can work on for heads of a size, the likely fastest first; none where they do not suit them. */
export function attentionBlocks(headSize: number, keys: number, units: MatrixUnits): AttentionBlock[] {
  const step = Math.max(units.k, units.n);
  if (headSize % 8 !== 0 || headSize > widest) return [];
  const depth = alignUp(headSize, step);
  const parts = depth <= widestAlone ? 1 : ceilDiv(depth, 128);
  if (depth % (parts * step) !== 0) return [];
  const blocks = depth > 48 ? wide : keys <= fewKeys ? brief : narrow;
  const shared = (block: AttentionBlock) => (parts > 1 ? { ...block, parts } : block);
  const fits = (block: AttentionBlock) =>
    block.subgroups * units.subgroup <= units.invocations &&
    // Whole matrices of keys, and whole fours of scores for each invocation.
    [block.keys / units.n, block.keys / units.k, lanesOf(block, units), block.keys / 4 / lanesOf(block, units)].every(
      Number.isInteger,
    ) &&
    attentionBytes(block, depth, units) <= units.workgroupBytes;
  return blocks.map(shared).filter(fits);
}

/** The block for heads of a size, or undefined where the matrix units do not suit them. */
export const chooseAttentionBlock = (headSize: number, keys: number, units: MatrixUnits): AttentionBlock | undefined =>
  attentionBlocks(headSize, keys, units)[0];

/** What attention on the matrix units takes. */
export interface AttentionCall {
  readonly heads: number;
  readonly scale: number;
  readonly causal: boolean;
  readonly block?: AttentionBlock;
}

/** Records attention of [N, T, heads * size] on the matrix units. */
export function emitMatrixAttention(q: Tensor, k: Tensor, v: Tensor, y: Tensor, call: AttentionCall): void {
  const { heads, scale, causal } = call;
  const { graph } = q;
  const units = graph.matrix;
  invariant(units, "attention: the matrix form, on a device without matrix units");
  const [images, queries, width] = q.shape as [number, number, number];
  const headSize = width / heads;
  const block = call.block ?? chooseAttentionBlock(headSize, k.shape[1]!, units);
  invariant(block, `attention: the matrix form takes heads of at most ${widest} channels by eights, got ${headSize}`);
  const depth = alignUp(headSize, Math.max(units.k, units.n));
  const parts = block.parts ?? 1;
  graph.emit(attentionMatrixKernel, {
    reads: { q, k, v },
    writes: { y },
    params: { queries, keys: k.shape[1]!, headSize, scale },
    consts: {
      T: q.dtype,
      DEPTH: depth,
      VALUES: depth / parts,
      KEYS: block.keys,
      ROWS: block.rows,
      SUBGROUPS: block.subgroups,
      SUBGROUP: units.subgroup,
      MATRIX_M: units.m,
      MATRIX_N: units.n,
      MATRIX_K: units.k,
      CAUSAL: causal ? 1 : 0,
    },
    grid: [ceilDiv(queries, block.subgroups * block.rows * units.m), heads * parts, images],
  });
}
