import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { attention } from "../ops/attention.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";

export interface AttentionBlockOptions {
  readonly heads: number;
  /** Groups of the norm; no norm when absent. */
  readonly groups?: number;
  readonly eps: number;
}

/**
 * Self-attention among all pixels of [N, H, W, C], added to the input: the attention of the autoencoder and of the UNets
 * without a context (AttentionBlock of the original code, `Attention` with a `group_norm` in diffusers).
 */
export function attentionBlock(w: Scope, x: Tensor, { heads, groups, eps }: AttentionBlockOptions): Tensor {
  const [n, height, width, out] = x.shape as [number, number, number, number];
  const normed = groups === undefined ? x : groupNorm(x, w.at("group_norm"), { groups, eps });
  const h = reshape(normed, [n, height * width, out]);
  const q = linear(h, w.at("to_q"), { out });
  const k = linear(h, w.at("to_k"), { out });
  const v = linear(h, w.at("to_v"), { out });
  return reshape(linear(attention(q, k, v, { heads }), w.at("to_out.0"), { out, residual: x }), x.shape);
}
