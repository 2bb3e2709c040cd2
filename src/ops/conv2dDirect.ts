import { defineKernel } from "../core/kernel.js";
import type { Graph, Operand, Tensor } from "../graph/graph.js";
import { conv2dInterface } from "./conv2dInterface.js";

const params = {
  ...conv2dInterface.params,
  block: "u32",
  hasBias: "u32",
  hasChannelBias: "u32",
  hasResidual: "u32",
} as const;

/** The form of convolution, and of linear maps, for adapters that run on a CPU. */
export const conv2dDirectKernel = defineKernel({
  name: "conv2dDirect",
  code: () => import("../../shaders/conv2dDirect.wgsl"),
  reads: conv2dInterface.reads,
  writes: conv2dInterface.writes,
  params,
  consts: ["T", "W", "O", "ACT", "GATED"],
});

/** The same where such an adapter has subgroups of 4 or 8. */
export const conv2dSubgroupKernel = defineKernel({
  name: "conv2dSubgroup",
  code: () => import("../../shaders/conv2dSubgroup.wgsl"),
  reads: conv2dInterface.reads,
  writes: conv2dInterface.writes,
  params,
  consts: ["T", "W", "O", "ACT", "GATED", "SUBGROUP"],
});

/** A product as the direct form records it. */
interface DirectCall {
  readonly reads: Readonly<Record<"x" | "weight", Operand>> &
    Readonly<Record<"bias" | "channelBias" | "residual", Operand | undefined>>;
  readonly writes: { readonly y: Operand };
  readonly params: Readonly<Record<keyof typeof params, number>>;
  readonly consts: Readonly<Record<"T" | "W" | "O", string> & Record<"ACT" | "GATED", number>>;
  readonly grid: readonly [number, number];
}

/** Records a product in the direct form that suits the device. */
export function emitDirect(graph: Graph, call: DirectCall): void {
  const { subgroup } = graph;
  if (subgroup === 4 || subgroup === 8) {
    graph.emit(conv2dSubgroupKernel, { ...call, consts: { ...call.consts, SUBGROUP: subgroup } });
  } else {
    graph.emit(conv2dDirectKernel, call);
  }
}

/** What the direct form is told by params where the others have constants. */
export const directParams = (options: {
  readonly bias: boolean;
  readonly channelBias: Tensor | undefined;
  readonly residual: Tensor | undefined;
}) => ({
  block: 8, // pixels that one invocation computes
  hasBias: options.bias ? 1 : 0,
  hasChannelBias: options.channelBias ? 1 : 0,
  hasResidual: options.residual ? 1 : 0,
});
