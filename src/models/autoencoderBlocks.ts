import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { attention } from "../ops/attention.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";
import type { AutoencoderConfig } from "./autoencoderConfig.js";
import { resBlock } from "./resBlock.js";

/** Of every norm of a first stage. */
export const eps = 1e-6;

/** The blocks between encoder and decoder's levels and the latent, at its resolution. */
export function midBlock(w: Scope, x: Tensor, { groups, midAttention, channels }: AutoencoderConfig): Tensor {
  const out = channels.at(-1)!;
  const h = resBlock(w.at("resnets.0"), x, { out, groups, eps });
  const a = midAttention ? attentionBlock(w.at("attentions.0"), h, groups) : h;
  return resBlock(w.at("resnets.1"), a, { out, groups, eps });
}

/** Self-attention over all pixels with one head as wide as the block. */
export function attentionBlock(w: Scope, x: Tensor, groups: number): Tensor {
  const [n, height, width, out] = x.shape as [number, number, number, number];
  const h = reshape(groupNorm(x, w.at("group_norm"), { groups, eps }), [n, height * width, out]);
  const q = linear(h, w.at("to_q"), { out });
  const k = linear(h, w.at("to_k"), { out });
  const v = linear(h, w.at("to_v"), { out });
  return reshape(linear(attention(q, k, v, { heads: 1 }), w.at("to_out.0"), { out, residual: x }), x.shape);
}
