import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import type { Tensor } from "../graph/graph.js";
import { calls, image, outSizes, sizes, window } from "./resizeBands.js";

export const resizeNearestKernel = defineKernel({
  name: "resizeNearest",
  code: () => import("../../shaders/resizeNearest.wgsl"),
  reads: ["x"],
  writes: ["y"],
  params: { ...outSizes, ...window },
  consts: ["T"],
});

export const averagePoolKernel = defineKernel({
  name: "averagePool",
  code: () => import("../../shaders/averagePool.wgsl"),
  reads: ["x"],
  writes: ["y"],
  params: { ...sizes, ...window },
  consts: ["T"],
});

/** Nearest-neighbour resize of [N, H, W, C] to [height, width] (PyTorch "nearest"). */
export function resizeNearest(x: Tensor, [outHeight, outWidth]: readonly [number, number]): Tensor {
  const [n, height, , channels] = image(x, "resizeNearest");
  const y = x.graph.empty([n, outHeight, outWidth, channels], x.dtype);
  const sourceRows = (row: number) => {
    const source = Math.floor((row * height) / outHeight);
    return [source, source + 1] as const;
  };
  for (const { sizes, ...call } of calls(x, y, sourceRows)) {
    x.graph.emit(resizeNearestKernel, { ...call, params: { ...sizes, outHeight, outWidth } });
  }
  return y;
}

/** Mean of each 2 x 2 block of [N, H, W, C], stride 2. */
export function averagePool(x: Tensor): Tensor {
  const [n, height, width, channels] = image(x, "averagePool");
  invariant(height > 1 && width > 1, `averagePool: ${height} x ${width} holds no block of 2 x 2`);
  const y = x.graph.empty([n, Math.floor(height / 2), Math.floor(width / 2), channels], x.dtype);
  for (const { sizes, ...call } of calls(x, y, (row) => [2 * row, 2 * row + 2])) {
    x.graph.emit(averagePoolKernel, { ...call, params: sizes });
  }
  return y;
}
