import averageCode from "../../shaders/averagePool.wgsl";
import bilinearCode from "../../shaders/resizeBilinear.wgsl";
import nearestCode from "../../shaders/resizeNearest.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

const sizes = { count: "u32", channels: "u32", height: "u32", width: "u32" } as const;
const outSizes = { ...sizes, outHeight: "u32", outWidth: "u32" } as const;

export const resizeNearestKernel = defineKernel({
  name: "resizeNearest",
  code: nearestCode,
  reads: ["x"],
  writes: ["y"],
  params: outSizes,
  consts: ["T"],
});

export const resizeBilinearKernel = defineKernel({
  name: "resizeBilinear",
  code: bilinearCode,
  reads: ["x"],
  writes: ["y"],
  params: { ...outSizes, stepY: "f32", stepX: "f32" },
  consts: ["T"],
});

export const averagePoolKernel = defineKernel({
  name: "averagePool",
  code: averageCode,
  reads: ["x"],
  writes: ["y"],
  params: sizes,
  consts: ["T"],
});

function image(x: Tensor, op: string): [number, number, number, number] {
  invariant(x.shape.length === 4, `${op}: input is ${showShape(x.shape)}, expected [N, H, W, C]`);
  return x.shape as [number, number, number, number];
}

/** Nearest-neighbour resize of [N, H, W, C] to [height, width] (PyTorch "nearest"). */
export function resizeNearest(x: Tensor, [outHeight, outWidth]: readonly [number, number]): Tensor {
  const [n, height, width, channels] = image(x, "resizeNearest");
  const y = x.graph.empty([n, outHeight, outWidth, channels], x.dtype);
  const count = sizeOf(y.shape);
  x.graph.emit(resizeNearestKernel, {
    reads: { x },
    writes: { y },
    params: { count, channels, height, width, outHeight, outWidth },
    consts: { T: x.dtype },
    grid: linearGrid(ceilDiv(count, 256)),
  });
  return y;
}

/**
 * Bilinear resize of [N, H, W, C] with half-pixel centres, without antialiasing.
 * `scale` (output per input) sets the sampling step where it is known, as PyTorch's `scale_factor` does; else the ratio
 * of the sizes.
 */
export function resizeBilinear(x: Tensor, [outHeight, outWidth]: readonly [number, number], scale?: number): Tensor {
  const [n, height, width, channels] = image(x, "resizeBilinear");
  const y = x.graph.empty([n, outHeight, outWidth, channels], x.dtype);
  const count = sizeOf(y.shape);
  const stepY = scale ? 1 / scale : height / outHeight;
  const stepX = scale ? 1 / scale : width / outWidth;
  x.graph.emit(resizeBilinearKernel, {
    reads: { x },
    writes: { y },
    params: { count, channels, height, width, outHeight, outWidth, stepY, stepX },
    consts: { T: x.dtype },
    grid: linearGrid(ceilDiv(count, 256)),
  });
  return y;
}

/** Mean of each 2 x 2 block of [N, H, W, C], stride 2. */
export function averagePool(x: Tensor): Tensor {
  const [n, height, width, channels] = image(x, "averagePool");
  invariant(height > 1 && width > 1, `averagePool: ${height} x ${width} holds no block of 2 x 2`);
  const y = x.graph.empty([n, Math.floor(height / 2), Math.floor(width / 2), channels], x.dtype);
  const count = sizeOf(y.shape);
  x.graph.emit(averagePoolKernel, {
    reads: { x },
    writes: { y },
    params: { count, channels, height, width },
    consts: { T: x.dtype },
    grid: linearGrid(ceilDiv(count, 256)),
  });
  return y;
}
