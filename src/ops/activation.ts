import code from "../../shaders/activation.wgsl";
import { defineKernel } from "../core/kernel.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { bandOf, rowBands } from "./bands.js";

/** Codes of lib/activation.wgsl. */
export const activations = { none: 0, silu: 1, gelu: 2, quickGelu: 3, geluTanh: 4, relu: 5, tanh: 6 } as const;
/** A pointwise function: `gelu` by the error function, `geluTanh` approximates it, `quickGelu` is x * sigmoid(1.702 x). */
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
  const y = x.graph.empty(x.shape, x.dtype);
  const input = { tensor: x, width: 1 };
  const output = { tensor: y, width: 1 };
  for (const band of rowBands(x.graph, [input, output])) {
    const { count } = band;
    x.graph.emit(activationKernel, {
      reads: { x: bandOf(input, band) },
      writes: { y: bandOf(output, band) },
      params: { count },
      consts: { T: x.dtype, ACT: activations[act] },
      grid: linearGrid(Math.ceil(count / 256)),
    });
  }
  return y;
}
