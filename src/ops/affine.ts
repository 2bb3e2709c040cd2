import code from "../../shaders/affine.wgsl";
import type { DType } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const affineKernel = defineKernel({
  name: "affine",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { count: "u32", size: "u32", scale: "f32", shift: "f32" },
  consts: ["T", "O"],
});

/** x * scale + shift, and into which type. */
export interface AffineOptions {
  /** 1 by default. */
  readonly scale?: number;
  /** 0 by default. */
  readonly shift?: number;
  /** Element type of the result. */
  readonly dtype?: DType;
  /** Repeats the images of the batch this many times, whole batch after whole batch. */
  readonly repeat?: number;
}

/** x * scale + shift, in another element type or repeated along the batch where asked. */
export function affine(x: Tensor, options: AffineOptions): Tensor {
  const { scale = 1, shift = 0, dtype = x.dtype, repeat = 1 } = options;
  invariant(Number.isInteger(repeat) && repeat > 0, `affine: repeat is ${repeat}, expected a positive integer`);
  const y = x.graph.empty([x.shape[0]! * repeat, ...x.shape.slice(1)], dtype);
  const size = sizeOf(x.shape);
  x.graph.emit(affineKernel, {
    reads: { x },
    writes: { y },
    params: { count: size * repeat, size, scale, shift },
    consts: { T: x.dtype, O: dtype },
    grid: linearGrid(ceilDiv(size * repeat, 256)),
  });
  return y;
}
