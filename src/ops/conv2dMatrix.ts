import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv } from "../core/shape.js";
import { type Graph, linearGrid, type Operand, type Window } from "../graph/graph.js";
import { conv2dInterface } from "./conv2dInterface.js";
import { blockBytes, chooseBlock, type MatrixBlock } from "./matrixBlock.js";

export const conv2dMatrixKernel = defineKernel({
  name: "conv2dMatrix",
  code: () => import("../../shaders/conv2dMatrix.wgsl"),
  reads: conv2dInterface.reads,
  writes: conv2dInterface.writes,
  params: { ...conv2dInterface.params, slices: "u32" },
  consts: [
    ...["T", "O", "BLOCK_M", "BLOCK_N", "DEPTH", "ACROSS_M", "ACROSS_N", "BUFFERS"],
    ...["SUBGROUP", "MATRIX_M", "MATRIX_N", "MATRIX_K"],
    ...["RESIZE", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL", "SPLIT", "GEGLU"],
  ],
});

export const splitSumKernel = defineKernel({
  name: "splitSum",
  code: () => import("../../shaders/splitSum.wgsl"),
  reads: ["parts", "bias", "channelBias", "residual"],
  writes: ["y"],
  params: { rows: "u32", quads: "u32", splits: "u32", imageRows: "u32", firstRow: "u32" },
  consts: ["T", "O", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL"],
});

/** A product as the forms of convolution record it. */
export interface ProductCall {
  readonly reads: Readonly<Record<(typeof conv2dInterface.reads)[number], Operand | undefined>>;
  readonly writes: { readonly y: Window };
  readonly params: Readonly<Record<keyof typeof conv2dInterface.params, number>>;
  readonly resize: boolean;
  /** Code of the activation. */
  readonly act: number;
  /** Columns are values and gates: the result has half of them. */
  readonly geglu?: boolean;
  readonly block?: MatrixBlock;
}

/** Records a product on the matrix units; one in splits is two calls. */
export function emitMatrixProduct(graph: Graph, call: ProductCall): void {
  const { reads, writes, params, resize, act, geglu = false } = call;
  const units = graph.matrix;
  invariant(units, "conv2d: the matrix form, on a device without matrix units");
  const { rows, outputs, inner, outWidth, outHeight } = params;
  const chosen = call.block ?? chooseBlock(rows, outputs, inner, params.channels);
  const splits = geglu ? 1 : chosen.splits;
  const block = { ...chosen, splits };
  const bytes = blockBytes(block, units, geglu);
  invariant(
    bytes <= units.workgroupBytes,
    `conv2d: the block takes ${bytes} bytes of workgroup memory, this adapter allows ${units.workgroupBytes}`,
  );
  const split = splits > 1;
  const { tensor } = writes.y;
  const T = graph.dtype;
  const flags = {
    BIAS: reads.bias ? 1 : 0,
    CHANNEL_BIAS: reads.channelBias ? 1 : 0,
    RESIDUAL: reads.residual ? 1 : 0,
  };
  const parts = split ? graph.empty([splits, rows, outputs], "f32") : undefined;
  const { bias, channelBias, residual, ...operands } = reads;
  graph.emit(conv2dMatrixKernel, {
    reads: split
      ? { ...operands, bias: undefined, channelBias: undefined, residual: undefined }
      : { ...operands, bias, channelBias, residual },
    writes: { y: parts ?? writes.y },
    params: { ...params, slices: ceilDiv(inner / block.depth, splits) },
    consts: {
      T,
      O: parts ? "f32" : tensor.dtype,
      BLOCK_M: block.rows,
      BLOCK_N: block.columns,
      DEPTH: block.depth,
      ACROSS_M: block.acrossRows,
      ACROSS_N: block.acrossColumns,
      BUFFERS: block.buffers,
      SUBGROUP: units.subgroup,
      MATRIX_M: units.m,
      MATRIX_N: units.n,
      MATRIX_K: units.k,
      RESIZE: resize ? 1 : 0,
      ACT: split ? 0 : act,
      ...(split ? { BIAS: 0, CHANNEL_BIAS: 0, RESIDUAL: 0 } : flags),
      SPLIT: split ? 1 : 0,
      GEGLU: geglu ? 1 : 0,
    },
    grid: [ceilDiv(outputs, block.columns), ceilDiv(rows, block.rows), splits],
  });
  if (!parts) return;
  graph.emit(splitSumKernel, {
    reads: { parts, bias, channelBias, residual },
    writes,
    params: { rows, quads: outputs / 4, splits, imageRows: outWidth * outHeight, firstRow: params.firstRow * outWidth },
    consts: { T, O: tensor.dtype, ACT: act, ...flags },
    grid: linearGrid(ceilDiv((rows * outputs) / 4, 128)),
  });
}
