import code from "../../shaders/softmax.wgsl";
import { defineKernel } from "../core/kernel.js";
import { sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { reductionWorkgroup } from "./workgroup.js";

export const softmaxKernel = defineKernel({
  name: "softmax",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { rows: "u32", channels: "u32" },
  consts: ["T", "WORKGROUP"],
});

/** Softmax over the last axis. Attention has its own inside the kernel; this one is for other networks. */
export function softmax(x: Tensor): Tensor {
  const channels = x.shape.at(-1)!;
  const rows = sizeOf(x.shape) / channels;
  const y = x.graph.empty(x.shape, x.dtype);
  x.graph.emit(softmaxKernel, {
    reads: { x },
    writes: { y },
    params: { rows, channels },
    consts: { T: x.dtype, WORKGROUP: reductionWorkgroup(x.graph, 64) },
    grid: linearGrid(rows),
  });
  return y;
}
