import code from "../../shaders/gaussian.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const gaussianKernel = defineKernel({
  name: "gaussian",
  code,
  reads: ["moments", "noise"],
  writes: ["y"],
  params: { count: "u32", channels: "u32", scale: "f32", shift: "f32" },
  consts: ["T", "SAMPLE"],
});

/** What is taken of a distribution, and how it is scaled. */
export interface GaussianOptions {
  /** Standard normal noise of the result's shape (f32); without it the mean is taken. */
  readonly noise?: Tensor;
  /** The result is multiplied by this: a model's scaling factor. */
  readonly scale?: number;
  /** Added after that; 0 by default. */
  readonly shift?: number;
}

/** Mean of, or a sample from, the Gaussian of moments [N, H, W, 2C] (mean | log-variance): [N, H, W, C] in f32. */
export function gaussian(moments: Tensor, options: GaussianOptions = {}): Tensor {
  const { noise, scale = 1, shift = 0 } = options;
  const width = moments.shape.at(-1)!;
  invariant(width % 2 === 0, `gaussian: moments ${showShape(moments.shape)} do not split into mean and log-variance`);
  const channels = width / 2;
  const y = moments.graph.empty([...moments.shape.slice(0, -1), channels], "f32");
  const count = sizeOf(y.shape);
  const fits = !noise || (sizeOf(noise.shape) === count && noise.dtype === "f32");
  invariant(
    fits,
    () => `gaussian: noise is ${showShape(noise!.shape)} ${noise!.dtype}, expected ${showShape(y.shape)} f32`,
  );
  moments.graph.emit(gaussianKernel, {
    reads: { moments, noise },
    writes: { y },
    params: { count, channels, scale, shift },
    consts: { T: moments.dtype, SAMPLE: noise ? 1 : 0 },
    grid: linearGrid(ceilDiv(count, 256)),
  });
  return y;
}
