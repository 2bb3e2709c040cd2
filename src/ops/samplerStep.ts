import code from "../../shaders/samplerStep.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, sameShape, showShape, sizeOf } from "../core/shape.js";
import { maxRegisters, scalarCount } from "../core/stepScalars.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { quantile } from "./quantile.js";

export { scalarCount } from "../core/stepScalars.js";

export const predictCleanKernel = defineKernel({
  name: "predictClean",
  code: () => import("../../shaders/predictClean.wgsl"),
  reads: ["output", "x", "factor", "scalars"],
  writes: ["x0"],
  params: { count: "u32", size: "u32" },
  consts: ["GUIDED", "RESCALE", "PREDICTION"],
});

export const guidanceFactorKernel = defineKernel({
  name: "guidanceFactor",
  code: () => import("../../shaders/guidanceFactor.wgsl"),
  reads: ["output", "scalars"],
  writes: ["y"],
  params: { count: "u32", size: "u32" },
  consts: [],
});

export const samplerStepKernel = defineKernel({
  name: "samplerStep",
  code,
  reads: ["output", "noise", "threshold", "factor", "scalars"],
  writes: ["x", "registers", "x0"],
  params: { count: "u32", size: "u32", clipRange: "f32" },
  consts: ["GUIDED", "RESCALE", "PREDICTION", "CLIP", "REDERIVE", "NOISE", "REGISTERS"],
});

/** What a denoiser's output means (Salimans and Ho 2022 for v). */
export const predictions = { epsilon: 0, v_prediction: 1, sample: 2 } as const;
/** What a denoiser's output means. */
export type PredictionType = keyof typeof predictions;

/** What a step does besides the linear combination. */
export interface SamplerStepOptions {
  /** What the denoiser's output means; noise by default. */
  readonly prediction?: PredictionType;
  /** A state [R, ...shape of x] in f32 that the sampler's registers live in, up to 5; their first values do not matter. */
  readonly registers?: Tensor;
  /** Standard normal noise of x's shape, for paths that draw. */
  readonly noise?: Tensor;
  /** Clips the predicted clean latent to plus or minus this. */
  readonly clipRange?: number;
  /** Dynamic thresholding instead: quantile of |x0| per image, and the largest threshold. */
  readonly thresholding?: { readonly ratio: number; readonly max: number };
  /** Derives the noise anew from the clipped clean latent. */
  readonly useClippedModelOutput?: boolean;
  /** Applies the scalars' share of guidance rescale (Lin et al. 2023); only with guidance. */
  readonly guidanceRescale?: boolean;
}

/**
 * One step of any sampler: updates the latent x (a state [N, ..], f32) and the registers in place, and returns the
 * predicted clean latent x0. `output` is the denoiser's (f32), of x's shape, or twice the batch as [unconditional,
 * conditional] for classifier-free guidance. `scalars` is [64] f32, from `stepScalars`.
 */
export function samplerStep(x: Tensor, output: Tensor, scalars: Tensor, options: SamplerStepOptions = {}): Tensor {
  const { prediction = "epsilon", registers, noise, clipRange, thresholding, guidanceRescale = false } = options;
  const { graph } = x;
  const count = sizeOf(x.shape);
  const size = count / x.shape[0]!;
  const ratio = sizeOf(output.shape) / count;
  const typed = [x, output, scalars, registers, noise].every((t) => t === undefined || t.dtype === "f32");
  invariant(
    typed && (ratio === 1 || ratio === 2),
    `samplerStep: output is ${showShape(output.shape)} for a latent ${showShape(x.shape)}, all in f32`,
  );
  invariant(
    sizeOf(scalars.shape) === scalarCount,
    `samplerStep: scalars are ${showShape(scalars.shape)}, expected [${scalarCount}]`,
  );
  const held = registers?.shape[0] ?? 0;
  invariant(
    !registers || (sameShape(registers.shape.slice(1), x.shape) && held <= maxRegisters),
    () =>
      `samplerStep: registers are ${showShape(registers!.shape)}, expected up to ${maxRegisters} of ${showShape(x.shape)}`,
  );
  invariant(
    !noise || sameShape(noise.shape, x.shape),
    () => `samplerStep: noise is ${showShape(noise!.shape)} for a latent ${showShape(x.shape)}`,
  );
  invariant(!guidanceRescale || ratio === 2, "samplerStep: guidance rescale without guidance");

  const shared = { GUIDED: ratio - 1, RESCALE: guidanceRescale ? 1 : 0, PREDICTION: predictions[prediction] };
  const grid = linearGrid(ceilDiv(count, 256));
  let factor: Tensor | undefined;
  if (guidanceRescale) {
    factor = graph.empty([x.shape[0]!], "f32");
    graph.emit(guidanceFactorKernel, {
      reads: { output, scalars },
      writes: { y: factor },
      params: { count, size },
      consts: {},
      grid: [x.shape[0]!],
    });
  }
  let threshold: Tensor | undefined;
  if (thresholding) {
    const raw = graph.empty(x.shape, "f32");
    graph.emit(predictCleanKernel, {
      reads: { output, x, factor, scalars },
      writes: { x0: raw },
      params: { count, size },
      consts: shared,
      grid,
    });
    threshold = quantile(raw, thresholding.ratio);
  }
  const x0 = graph.empty(x.shape, "f32");
  graph.emit(samplerStepKernel, {
    reads: { output, noise, threshold, factor, scalars },
    // A sampler without registers still needs something to bind.
    writes: { x, registers: registers ?? graph.empty([4], "f32"), x0 },
    params: { count, size, clipRange: thresholding?.max ?? clipRange ?? 0 },
    consts: {
      ...shared,
      CLIP: thresholding ? 2 : clipRange !== undefined ? 1 : 0,
      REDERIVE: options.useClippedModelOutput ? 1 : 0,
      NOISE: noise ? 1 : 0,
      REGISTERS: held,
    },
    grid,
  });
  return x0;
}
