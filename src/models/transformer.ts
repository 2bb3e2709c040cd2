import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { attention } from "../ops/attention.js";
import { groupNorm } from "../ops/groupNorm.js";
import { layerNorm } from "../ops/layerNorm.js";
import { linear } from "../ops/linear.js";

/** How a spatial transformer works. */
export interface TransformerOptions {
  /** Attention heads, which share the channels. */
  readonly heads: number;
  /** Transformer blocks in a row. */
  readonly depth: number;
  /** Groups of the norm at its beginning. */
  readonly groups: number;
  /** proj_in and proj_out are matrices [C, C] (SD 2) instead of 1 x 1 convolutions (SD 1). */
  readonly linearProjection: boolean;
  /** The first attention of each block is to the context too, not to the picture itself (the x4 upscaler). */
  readonly onlyContext?: boolean;
}

/** The spatial transformer of the paper (§3.3, appendix E.2.1): [N, H, W, C] attends to itself and to the context [N, T, D]. */
export function spatialTransformer(w: Scope, x: Tensor, context: Tensor, options: TransformerOptions): Tensor {
  const { depth, groups, linearProjection } = options;
  const [n, height, width, channels] = x.shape as [number, number, number, number];
  const pointwise = !linearProjection;
  const tokens = reshape(groupNorm(x, w.at("norm"), { groups, eps: 1e-6 }), [n, height * width, channels]);
  let h = linear(tokens, w.at("proj_in"), { out: channels, pointwise });
  for (let i = 0; i < depth; i++) h = transformerBlock(w.at("transformer_blocks", i), h, context, options);
  return reshape(linear(h, w.at("proj_out"), { out: channels, pointwise, residual: x }), x.shape);
}

function transformerBlock(w: Scope, x: Tensor, context: Tensor, options: TransformerOptions): Tensor {
  const { heads, onlyContext = false } = options;
  const normed = layerNorm(x, w.at("norm1"));
  const a = crossAttention(w.at("attn1"), normed, onlyContext ? context : normed, x, heads);
  const b = crossAttention(w.at("attn2"), layerNorm(a, w.at("norm2")), context, a, heads);
  return feedForward(w.at("ff"), layerNorm(b, w.at("norm3")), b);
}

/** Attention from x [N, T, C] to the context [N, S, D], which is x itself for self-attention; adds the residual. */
function crossAttention(w: Scope, x: Tensor, context: Tensor, residual: Tensor, heads: number): Tensor {
  const out = x.shape.at(-1)!;
  const q = linear(x, w.at("to_q"), { out, bias: false });
  const k = linear(context, w.at("to_k"), { out, bias: false });
  const v = linear(context, w.at("to_v"), { out, bias: false });
  return linear(attention(q, k, v, { heads }), w.at("to_out.0"), { out, residual });
}

function feedForward(w: Scope, x: Tensor, residual: Tensor): Tensor {
  const out = x.shape.at(-1)!;
  const h = linear(x, w.at("net.0.proj"), { out: 4 * out, act: "gelu", gated: true });
  return linear(h, w.at("net.2"), { out, residual });
}
