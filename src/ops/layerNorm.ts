import { defineKernel } from "../core/kernel.js";
import { ceilDiv } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { bandOf, rowBands } from "./bands.js";

export const layerNormKernel = defineKernel({
  name: "layerNorm",
  code: () => import("../../shaders/layerNorm.wgsl"),
  reads: ["x", "weight", "bias"],
  writes: ["y"],
  params: { rows: "u32", channels: "u32", eps: "f32" },
  consts: ["T", "LINE", "ROWS", "VECTOR"],
});

/** Layer normalisation over the last axis with the scale and shift at `w`, in float32 whatever the storage. */
export function layerNorm(x: Tensor, w: Scope, { eps = 1e-5 }: { readonly eps?: number } = {}): Tensor {
  const channels = x.shape.at(-1)!;
  const y = x.graph.empty(x.shape, x.dtype);
  const reads = { weight: w.vector("weight", channels), bias: w.vector("bias", channels) };
  const input = { tensor: x, width: channels };
  const output = { tensor: y, width: channels };
  // On a CPU barriers cost more than all the rest.
  const { LINE, ROWS } = x.graph.software ? { LINE: 1, ROWS: 8 } : { LINE: 32, ROWS: 8 };
  for (const band of rowBands(x.graph, [input, output])) {
    x.graph.emit(layerNormKernel, {
      reads: { x: bandOf(input, band), ...reads },
      writes: { y: bandOf(output, band) },
      params: { rows: band.count, channels, eps },
      consts: { T: x.dtype, LINE, ROWS, VECTOR: channels % 4 === 0 ? 1 : 0 },
      grid: linearGrid(ceilDiv(band.count, ROWS)),
    });
  }
  return y;
}
