import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv } from "../core/shape.js";
import type { Graph, Operand, Window } from "../graph/graph.js";
import { conv2dInterface } from "./conv2dInterface.js";
import { chooseBlock, type MatrixBlock, suitsUnits } from "./matrixBlock.js";
import { emitSplit } from "./sumSplits.js";

export const conv2dMatrixKernel = defineKernel({
  name: "conv2dMatrix",
  code: () => import("../../shaders/conv2dMatrix.wgsl"),
  reads: conv2dInterface.reads,
  writes: conv2dInterface.writes,
  params: { ...conv2dInterface.params, slices: "u32" },
  consts: [
    ...["T", "O", "BLOCK_M", "BLOCK_N", "DEPTH", "ACROSS_M", "ACROSS_N", "BUFFERS"],
    ...["SUBGROUP", "MATRIX_M", "MATRIX_N", "MATRIX_K"],
    ...["RESIZE", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL", "GATED"],
  ],
});

/** A product as the forms of convolution record it. */
export interface ProductCall {
  readonly reads: Readonly<Record<"x" | "weight", Operand>> &
    Readonly<Record<"bias" | "channelBias" | "residual", Operand | undefined>>;
  readonly writes: { readonly y: Window };
  readonly params: Readonly<Record<keyof typeof conv2dInterface.params, number>>;
  readonly resize: boolean;
  /** Code of the activation. */
  readonly act: number;
  /** The weight holds values and then gates. */
  readonly gated?: boolean;
  readonly block?: MatrixBlock;
}

/** Records a product on the matrix units; one in splits is two calls. */
export function emitMatrixProduct(graph: Graph, call: ProductCall): void {
  const { reads, writes, params, resize, act, gated = false } = call;
  const units = graph.matrix;
  invariant(units, "conv2d: the matrix form, on a device without matrix units");
  const { rows, outputs, inner, outWidth, outHeight, channels, firstRow } = params;
  const across = gated ? 2 * outputs : outputs;
  const chosen = call.block ?? chooseBlock({ rows, outputs: across, inner, channels, gated }, units);
  invariant(
    chosen && suitsUnits(chosen, units, channels, gated),
    `conv2d: the matrix form, on units of ${units.m} x ${units.n} x ${units.k}, which do not suit ${channels} channels`,
  );
  const slices = ceilDiv(inner / chosen.depth, chosen.splits);
  const block = { ...chosen, splits: ceilDiv(inner / chosen.depth, slices) };
  const ends = {
    T: graph.dtype,
    W: graph.dtype,
    O: writes.y.tensor.dtype,
    WIDE: 1,
    ACT: act,
    BIAS: reads.bias ? 1 : 0,
    CHANNEL_BIAS: reads.channelBias ? 1 : 0,
    RESIDUAL: reads.residual ? 1 : 0,
  };
  const spread = {
    rows,
    outputs,
    splits: block.splits,
    firstRow: firstRow * outWidth,
    imageRows: outWidth * outHeight,
  };
  emitSplit(graph, { reads, writes }, ends, spread, (product, { T, O, ACT, BIAS, CHANNEL_BIAS, RESIDUAL }) =>
    graph.emit(conv2dMatrixKernel, {
      ...product,
      params: { ...params, slices },
      consts: {
        T,
        O,
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
        ...{ ACT, BIAS, CHANNEL_BIAS, RESIDUAL },
        GATED: gated ? 1 : 0,
      },
      grid: [ceilDiv(across, block.columns), ceilDiv(rows, block.rows), block.splits],
    }),
  );
}
