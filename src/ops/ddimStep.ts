import code from "../../shaders/ddimStep.wgsl";
import predictCode from "../../shaders/predictSample.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { quantile } from "./quantile.js";
import { type PredictionType, predictions } from "./samplerStep.js";

export { quantile } from "./quantile.js";
export { type PredictionType, predictions } from "./samplerStep.js";

export const predictSampleKernel = defineKernel({
  name: "predictSample",
  code: predictCode,
  reads: ["eps", "x", "scalars"],
  writes: ["x0"],
  params: { count: "u32" },
  consts: ["GUIDED", "PREDICTION"],
});

export const ddimStepKernel = defineKernel({
  name: "ddimStep",
  code,
  reads: ["eps", "noise", "threshold", "scalars"],
  writes: ["x", "x0"],
  params: { count: "u32", size: "u32", clipRange: "f32" },
  consts: ["GUIDED", "PREDICTION", "CLIP", "REDERIVE", "NOISE"],
});

export interface DdimStepOptions {
  readonly prediction?: PredictionType;
  /** Standard normal noise of x's shape; given when eta > 0. */
  readonly noise?: Tensor;
  /** Clips the predicted clean latent to plus or minus this. */
  readonly clipRange?: number;
  /** Dynamic thresholding: quantile of |x0| per image, and the largest threshold. */
  readonly thresholding?: { readonly ratio: number; readonly max: number };
  /** Derives the noise anew from the clipped clean latent. */
  readonly useClippedModelOutput?: boolean;
}

/**
 * One DDIM step: updates the latent x (a state, f32) in place and returns the predicted clean latent x0.
 * `eps` is the denoiser's output (f32), of x's shape, or twice the batch as [unconditional, conditional] for
 * classifier-free guidance. `scalars` is [16] f32, laid out as in shaders/lib/ddim.wgsl.
 */
export function ddimStep(x: Tensor, eps: Tensor, scalars: Tensor, options: DdimStepOptions = {}): Tensor {
  const { prediction = "epsilon", noise, clipRange, thresholding, useClippedModelOutput = false } = options;
  const count = sizeOf(x.shape);
  const ratio = sizeOf(eps.shape) / count;
  const typed = [x, eps, scalars].every((t) => t.dtype === "f32");
  invariant(
    typed && (ratio === 1 || ratio === 2),
    `ddimStep: eps is ${showShape(eps.shape)} for a latent ${showShape(x.shape)}`,
  );
  const { graph } = x;
  const x0 = graph.empty(x.shape, "f32");
  const shared = { GUIDED: ratio - 1, PREDICTION: predictions[prediction] };
  const grid = linearGrid(ceilDiv(count, 256));
  let threshold: Tensor | undefined;
  if (thresholding) {
    const raw = graph.empty(x.shape, "f32");
    graph.emit(predictSampleKernel, {
      reads: { eps, x, scalars },
      writes: { x0: raw },
      params: { count },
      consts: shared,
      grid,
    });
    threshold = quantile(raw, thresholding.ratio);
  }
  graph.emit(ddimStepKernel, {
    reads: { eps, noise, threshold, scalars },
    writes: { x, x0 },
    params: { count, size: count / x.shape[0]!, clipRange: thresholding?.max ?? clipRange ?? 0 },
    consts: {
      ...shared,
      CLIP: thresholding ? 2 : clipRange !== undefined ? 1 : 0,
      REDERIVE: useClippedModelOutput ? 1 : 0,
      NOISE: noise ? 1 : 0,
    },
    grid,
  });
  return x0;
}
