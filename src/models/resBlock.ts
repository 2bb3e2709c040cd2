import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";
import { averagePool, resizeNearest } from "../ops/resize.js";

/** How a residual block works. */
export interface ResBlockOptions {
  /** Output channels. */
  readonly out: number;
  /** Groups of both norms. */
  readonly groups: number;
  /** Added to variances in norms. */
  readonly eps: number;
  /** Time embedding [N, D]; the autoencoder's blocks have none. */
  readonly temb?: Tensor;
  /** The time embedding scales and shifts the second norm's result, instead of being added before that norm. */
  readonly scaleShift?: boolean;
  /**
   * The block changes the size of its picture, between the first activation and the first convolution: to half by
   * averages, rounded down, or to this [height, width] by nearest neighbours. The residual is resized alike.
   */
  readonly resample?: "half" | readonly [number, number];
}

/**
 * Residual block of two convolutions: x + conv2(silu(norm2(conv1(silu(norm1(x))) + time embedding))). With scaleShift
 * norm2(conv1(..)) * (1 + scale) + shift, where both are linear in the time embedding.
 */
export function resBlock(w: Scope, x: Tensor, options: ResBlockOptions): Tensor {
  const { out, groups, eps, temb, scaleShift = false, resample } = options;
  const time = w.at("time_emb_proj");
  const channelBias = temb && !scaleShift && linear(temb, time, { out, actIn: "silu" });
  const modulation = temb && scaleShift && linear(temb, time, { out: 2 * out, actIn: "silu", dtype: "f32" });
  // The shortcut comes first: where nothing else needs x, the first norm can then be written over it.
  const input = resample === "half" ? averagePool(x) : resample ? resizeNearest(x, resample) : x;
  const residual = x.shape.at(-1) === out ? input : conv2d(input, w.at("conv_shortcut"), { out, kernel: 1 });
  const a = groupNorm(x, w.at("norm1"), { groups, eps, act: "silu" });
  const h = conv2d(resample === "half" ? averagePool(a) : a, w.at("conv1"), {
    out,
    ...(channelBias ? { channelBias } : {}),
    ...(resample && resample !== "half" ? { resize: resample } : {}),
  });
  const b = groupNorm(h, w.at("norm2"), { groups, eps, act: "silu", ...(modulation ? { modulation } : {}) });
  return conv2d(b, w.at("conv2"), { out, residual });
}
