import code from "../../shaders/layerNorm.wgsl";
import { defineKernel } from "../core/kernel.js";
import { sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { reductionWorkgroup } from "./workgroup.js";

export const layerNormKernel = defineKernel({
  name: "layerNorm",
  code,
  reads: ["x", "weight", "bias"],
  writes: ["y"],
  params: { rows: "u32", channels: "u32", eps: "f32" },
  consts: ["T", "WORKGROUP"],
});

/** Layer normalisation over the last axis with the scale and shift at `w`, in float32 whatever the storage. */
export function layerNorm(x: Tensor, w: Scope, { eps = 1e-5 }: { readonly eps?: number } = {}): Tensor {
  const channels = x.shape.at(-1)!;
  const rows = sizeOf(x.shape) / channels;
  const y = x.graph.empty(x.shape, x.dtype);
  x.graph.emit(layerNormKernel, {
    reads: { x, weight: w.vector("weight", channels), bias: w.vector("bias", channels) },
    writes: { y },
    params: { rows, channels, eps },
    consts: { T: x.dtype, WORKGROUP: reductionWorkgroup(x.graph, 64) },
    grid: linearGrid(rows),
  });
  return y;
}
