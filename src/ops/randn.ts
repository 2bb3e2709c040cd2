import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const randnKernel = defineKernel({
  name: "randn",
  code: () => import("../../shaders/randn.wgsl"),
  reads: ["seed"],
  writes: ["y"],
  params: { images: "u32", size: "u32" },
  consts: [],
});

/**
 * Fills a tensor (f32) with standard normal noise. `seed` holds four words (u32) an image: seed low word, high word, stream,
 * unused. The first axis of `y` splits into as many images, and each gets what it would get alone.
 */
export function randn(seed: Tensor, y: Tensor): Tensor {
  const images = sizeOf(seed.shape) / 4;
  const fits = Number.isInteger(images) && sizeOf(y.shape) % images === 0 && seed.dtype === "u32";
  invariant(fits, `randn: seed is ${showShape(seed.shape)} ${seed.dtype}, expected [4] u32 for each image`);
  const size = sizeOf(y.shape) / images;
  y.graph.emit(randnKernel, {
    reads: { seed },
    writes: { y },
    params: { images, size },
    consts: {},
    grid: linearGrid(ceilDiv(images * ceilDiv(size, 4), 64)),
  });
  return y;
}
