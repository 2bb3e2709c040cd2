import { defineKernel } from "../core/kernel.js";
import { sizeOf } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";

export const quantileKernel = defineKernel({
  name: "quantile",
  code: () => import("../../shaders/quantile.wgsl"),
  reads: ["x"],
  writes: ["y"],
  params: { size: "u32", rank: "u32", fraction: "f32" },
  consts: [],
});

/** The q-quantile of |x| of each image of x [N, ..]: [N], linearly interpolated. */
export function quantile(x: Tensor, ratio: number): Tensor {
  const n = x.shape[0]!;
  const size = sizeOf(x.shape) / n;
  const position = ratio * (size - 1);
  const y = x.graph.empty([n], "f32");
  x.graph.emit(quantileKernel, {
    reads: { x },
    writes: { y },
    params: { size, rank: Math.floor(position), fraction: position - Math.floor(position) },
    consts: {},
    grid: [n],
  });
  return y;
}
