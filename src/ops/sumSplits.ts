import type { DType } from "../core/dtype.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv } from "../core/shape.js";
import { type Graph, linearGrid, type Operand } from "../graph/graph.js";

export const sumSplitsKernel = defineKernel({
  name: "sumSplits",
  code: () => import("../../shaders/sumSplits.wgsl"),
  reads: ["sums", "bias", "channelBias", "residual"],
  writes: ["y"],
  params: { rows: "u32", outputs: "u32", splits: "u32", firstRow: "u32", imageRows: "u32" },
  consts: ["T", "O", "WIDE", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL"],
});

/** What of a product's call concerns its end, and so moves to the sum of its shares. */
interface Product {
  readonly reads: {
    readonly x: Operand;
    readonly weight: Operand;
    readonly bias: Operand | undefined;
    readonly channelBias: Operand | undefined;
    readonly residual: Operand | undefined;
  };
  readonly writes: { readonly y: Operand };
}

interface Consts {
  readonly T: DType;
  readonly W: DType;
  readonly O: DType;
  readonly WIDE: number;
  readonly ACT: number;
  readonly BIAS: number;
  readonly CHANNEL_BIAS: number;
  readonly RESIDUAL: number;
}

/**
 * Emits a product whose inner axis `splits` workgroups share: as it stands where there is one, else without its end into
 * sums of their own, which another call then adds.
 */
export function emitSplit<P extends Product, C extends Consts>(
  graph: Graph,
  call: P,
  consts: C,
  {
    rows,
    outputs,
    splits,
    firstRow,
    imageRows,
  }: Readonly<Record<"rows" | "outputs" | "splits" | "firstRow" | "imageRows", number>>,
  emit: (call: P, consts: C) => void,
): void {
  if (splits === 1) {
    emit(call, consts);
    return;
  }
  const sums = graph.empty([splits, rows, outputs], "f32", "sums");
  const { bias, channelBias, residual } = call.reads;
  const bare = { ...call.reads, bias: undefined, channelBias: undefined, residual: undefined };
  const none = { O: "f32", ACT: 0, BIAS: 0, CHANNEL_BIAS: 0, RESIDUAL: 0 } as const;
  emit({ ...call, reads: bare, writes: { y: sums } }, { ...consts, ...none });
  const { T, O, WIDE, ACT, BIAS, CHANNEL_BIAS, RESIDUAL } = consts;
  graph.emit(sumSplitsKernel, {
    reads: { sums, bias, channelBias, residual },
    writes: call.writes,
    params: { rows, outputs, splits, firstRow, imageRows },
    consts: { T, O, WIDE, ACT, BIAS, CHANNEL_BIAS, RESIDUAL },
    grid: linearGrid(ceilDiv(rows * ceilDiv(outputs, 4), 256)),
  });
}
