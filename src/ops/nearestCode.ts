import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const nearestCodeKernel = defineKernel({
  name: "nearestCode",
  code: () => import("../../shaders/nearestCode.wgsl"),
  reads: ["x", "codebook"],
  writes: ["indices", "y"],
  params: { pixels: "u32", channels: "u32", codes: "u32" },
  consts: ["T", "W"],
});

/** Codebook lookup of [N, H, W, C] in a codebook [codes, C]: indices [N, H, W] (u32) and the codes themselves. */
export function nearestCode(x: Tensor, codebook: Tensor): { indices: Tensor; quantised: Tensor } {
  const channels = x.shape.at(-1)!;
  const fits = codebook.shape.length === 2 && codebook.shape[1] === channels;
  invariant(fits, `nearestCode: codebook is ${showShape(codebook.shape)}, expected [codes, ${channels}]`);
  const indices = x.graph.empty(x.shape.slice(0, -1), "u32");
  const quantised = x.graph.empty(x.shape, x.dtype);
  const pixels = sizeOf(indices.shape);
  x.graph.emit(nearestCodeKernel, {
    reads: { x, codebook },
    writes: { indices, y: quantised },
    params: { pixels, channels, codes: codebook.shape[0]! },
    consts: { T: x.dtype, W: codebook.dtype },
    grid: linearGrid(ceilDiv(pixels, 64)),
  });
  return { indices, quantised };
}
