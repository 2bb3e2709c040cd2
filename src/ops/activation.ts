import code from "../../shaders/activation.wgsl";
import { defineKernel } from "../core/kernel.js";
import { sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

/** Codes of lib/activation.wgsl. */
export const activations = { none: 0, silu: 1, gelu: 2, quickGelu: 3, geluTanh: 4 } as const;
export type Activation = keyof typeof activations;

export const activationKernel = defineKernel({
  name: "activation",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { count: "u32" },
  consts: ["T", "ACT"],
});

/** A pointwise function of any tensor. */
export function activation(x: Tensor, act: Activation): Tensor {
  const count = sizeOf(x.shape);
  const y = x.graph.empty(x.shape, x.dtype);
  x.graph.emit(activationKernel, {
    reads: { x },
    writes: { y },
    params: { count },
    consts: { T: x.dtype, ACT: activations[act] },
    grid: linearGrid(Math.ceil(count / 256)),
  });
  return y;
}
