import code from "../../shaders/randn.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const randnKernel = defineKernel({
  name: "randn",
  code,
  reads: ["seed"],
  writes: ["y"],
  params: { count: "u32" },
  consts: [],
});

/** Fills a tensor (f32) with standard normal noise. `seed` is [4] u32: seed low word, high word, stream, unused. */
export function randn(seed: Tensor, y: Tensor): Tensor {
  invariant(
    sizeOf(seed.shape) === 4 && seed.dtype === "u32",
    `randn: seed is ${showShape(seed.shape)} ${seed.dtype}, expected [4] u32`,
  );
  const count = sizeOf(y.shape);
  y.graph.emit(randnKernel, {
    reads: { seed },
    writes: { y },
    params: { count },
    consts: {},
    grid: linearGrid(ceilDiv(count, 256)),
  });
  return y;
}
