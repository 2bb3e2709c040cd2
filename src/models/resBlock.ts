import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";

export interface ResBlockOptions {
  readonly out: number;
  readonly groups: number;
  readonly eps: number;
  /** Time embedding [N, D]; the autoencoder's blocks have none. */
  readonly temb?: Tensor;
}

/** Residual block of two convolutions: x + conv2(silu(norm2(conv1(silu(norm1(x))) + time embedding))). */
export function resBlock(w: Scope, x: Tensor, { out, groups, eps, temb }: ResBlockOptions): Tensor {
  const channelBias = temb && linear(temb, w.at("time_emb_proj"), { out, actIn: "silu" });
  const a = groupNorm(x, w.at("norm1"), { groups, eps, act: "silu" });
  const h = conv2d(a, w.at("conv1"), { out, ...(channelBias ? { channelBias } : {}) });
  const residual = x.shape.at(-1) === out ? x : conv2d(x, w.at("conv_shortcut"), { out, kernel: 1 });
  return conv2d(groupNorm(h, w.at("norm2"), { groups, eps, act: "silu" }), w.at("conv2"), { out, residual });
}
