import code from "../../shaders/toRgba.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { bandOf, rowBands } from "./bands.js";

export const toRgbaKernel = defineKernel({
  name: "toRgba",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { pixels: "u32" },
  consts: ["T"],
});

/** [N, H, W, 3] in [-1, 1] to pixels [N, H, W], each a u32 that holds R, G, B, A from the low byte up. */
export function toRgba(x: Tensor): Tensor {
  invariant(x.shape.length === 4 && x.shape[3] === 3, `toRgba: input is ${showShape(x.shape)}, expected [N, H, W, 3]`);
  const y = x.graph.empty(x.shape.slice(0, 3), "u32");
  const values = { tensor: x, width: 3 };
  const pixels = { tensor: y, width: 1 };
  for (const band of rowBands(x.graph, [values, pixels])) {
    x.graph.emit(toRgbaKernel, {
      reads: { x: bandOf(values, band) },
      writes: { y: bandOf(pixels, band) },
      params: { pixels: band.count },
      consts: { T: x.dtype },
      grid: linearGrid(ceilDiv(band.count, 256)),
    });
  }
  return y;
}
