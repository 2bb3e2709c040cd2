import code from "../../shaders/resizeBilinear.wgsl";
import { defineKernel } from "../core/kernel.js";
import type { Tensor } from "../graph/graph.js";
import { calls, image, outSizes, window } from "./resizeBands.js";

export const resizeBilinearKernel = defineKernel({
  name: "resizeBilinear",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { ...outSizes, stepY: "f32", stepX: "f32", ...window },
  consts: ["T"],
});

/**
 * Bilinear resize of [N, H, W, C] with half-pixel centres, without antialiasing.
 * `scale` (output per input) sets the sampling step where it is known, as PyTorch's `scale_factor` does; else the ratio
 * of the sizes.
 */
export function resizeBilinear(x: Tensor, [outHeight, outWidth]: readonly [number, number], scale?: number): Tensor {
  const [n, height, width, channels] = image(x, "resizeBilinear");
  const y = x.graph.empty([n, outHeight, outWidth, channels], x.dtype);
  const stepY = scale ? 1 / scale : height / outHeight;
  const stepX = scale ? 1 / scale : width / outWidth;
  const sourceRows = (row: number) => {
    // The kernel takes the row's place in f32, so it may fall on either side of a whole number: a row to spare.
    const source = Math.floor((row + 0.5) * stepY - 0.5);
    return [Math.max(Math.min(source, height) - 1, 0), Math.min(source + 3, height)] as const;
  };
  for (const { sizes, ...call } of calls(x, y, sourceRows)) {
    x.graph.emit(resizeBilinearKernel, { ...call, params: { ...sizes, outHeight, outWidth, stepY, stepX } });
  }
  return y;
}
