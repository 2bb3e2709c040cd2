import code from "../../shaders/l2Normalize.wgsl";
import { defineKernel } from "../core/kernel.js";
import { sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { reductionWorkgroup } from "./workgroup.js";

export const l2NormalizeKernel = defineKernel({
  name: "l2Normalize",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { rows: "u32", channels: "u32" },
  consts: ["T", "WORKGROUP"],
});

/** Vectors along the last axis, scaled to length 1; zeros stay zeros. The length is summed in float32. */
export function l2Normalize(x: Tensor): Tensor {
  const channels = x.shape.at(-1)!;
  const rows = sizeOf(x.shape) / channels;
  const y = x.graph.empty(x.shape, x.dtype);
  x.graph.emit(l2NormalizeKernel, {
    reads: { x },
    writes: { y },
    params: { rows, channels },
    consts: { T: x.dtype, WORKGROUP: reductionWorkgroup(x.graph, 64) },
    grid: linearGrid(rows),
  });
  return y;
}
