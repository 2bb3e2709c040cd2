import { defineKernel } from "../core/kernel.js";
import type { Tensor } from "../graph/graph.js";
import { type Activation, activations } from "./activation.js";
import { conv2dInterface } from "./conv2dInterface.js";

/** The form of convolution, and of linear maps, for adapters that run on a CPU. */
export const conv2dDirectKernel = defineKernel({
  name: "conv2dDirect",
  code: () => import("../../shaders/conv2dDirect.wgsl"),
  reads: conv2dInterface.reads,
  writes: conv2dInterface.writes,
  params: {
    ...conv2dInterface.params,
    block: "u32",
    act: "u32",
    hasBias: "u32",
    hasChannelBias: "u32",
    hasResidual: "u32",
    gated: "u32",
  },
  consts: ["T", "W", "O"],
});

/** What the direct form is told by params where the others have constants. */
export const directParams = (options: {
  readonly act: Activation;
  readonly bias: boolean;
  readonly channelBias: Tensor | undefined;
  readonly residual: Tensor | undefined;
  readonly gated?: boolean;
}) => ({
  block: 8, // pixels that one invocation computes
  act: activations[options.act],
  hasBias: options.bias ? 1 : 0,
  hasChannelBias: options.channelBias ? 1 : 0,
  hasResidual: options.residual ? 1 : 0,
  gated: options.gated ? 1 : 0,
});
