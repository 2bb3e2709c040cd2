import { invariant } from "../core/invariant.js";
import { showShape } from "../core/shape.js";
import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { attention } from "../ops/attention.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";
import { nearestCode } from "../ops/nearestCode.js";
import type { AutoencoderConfig } from "./autoencoderConfig.js";
import { resBlock } from "./resBlock.js";

export { type AutoencoderConfig, downsampling, parseAutoencoderConfig } from "./autoencoderConfig.js";

const eps = 1e-6;

/**
 * Picture [N, H, W, 3] in [-1, 1] to what the encoder says of the latent, in f32, without any scaling factor. KL: the
 * moments [N, H/f, W/f, 2 * latentChannels], mean, then log-variance (not clamped). VQ: the latent itself,
 * [N, H/f, W/f, latentChannels], before it is quantised.
 */
export function encodeMoments(w: Scope, image: Tensor, config: AutoencoderConfig): Tensor {
  const { channels, encoderAttention, layers, groups, kind } = config;
  invariant(
    image.shape.at(-1) === config.inChannels,
    `encoder: image is ${showShape(image.shape)}, expected ${config.inChannels} channels`,
  );
  const encoder = w.at("encoder");
  const top = channels.length - 1;
  const parts = kind === "kl" ? 2 : 1;
  let h = conv2d(image, encoder.at("conv_in"), { out: channels[0]!, dtype: w.graph.dtype });
  for (let level = 0; level <= top; level++) {
    const block = encoder.at("down_blocks", level);
    const out = channels[level]!;
    for (let i = 0; i < layers; i++) {
      h = resBlock(block.at("resnets", i), h, { out, groups, eps });
      if (encoderAttention[level]) h = attentionBlock(block.at("attentions", i), h, groups);
    }
    if (level < top) h = conv2d(h, block.at("downsamplers.0.conv"), { out, stride: 2, pad: [0, 1, 0, 1] });
  }
  h = midBlock(encoder.at("mid_block"), h, config);
  const normed = groupNorm(h, encoder.at("conv_norm_out"), { groups, eps, act: "silu" });
  const moments = conv2d(normed, encoder.at("conv_out"), { out: parts * config.innerChannels, dtype: "f32" });
  if (!config.quantConv) return moments;
  return conv2d(moments, w.at("quant_conv"), { out: parts * config.latentChannels, kernel: 1 });
}

export interface DecodeOptions {
  /** VQ: whether the latent is snapped to the codebook first; it is unless false. */
  readonly quantize?: boolean;
}

/**
 * Latent [N, h, w, latentChannels] (f32), as the encoder makes it, without scaling factor, to a picture
 * [N, f * h, f * w, 3], roughly in [-1, 1] and not clamped, in f32.
 */
export function decodeLatent(
  w: Scope,
  latent: Tensor,
  config: AutoencoderConfig,
  { quantize = config.kind === "vq" }: DecodeOptions = {},
): Tensor {
  const { channels, decoderAttention, layers, groups, latentChannels } = config;
  invariant(
    latent.shape.at(-1) === latentChannels,
    `decoder: latent is ${showShape(latent.shape)}, expected ${latentChannels} channels`,
  );
  const decoder = w.at("decoder");
  const top = channels.length - 1;
  let z = quantize ? quantizeLatent(w, latent, config).quantised : latent;
  if (config.postQuantConv) z = conv2d(z, w.at("post_quant_conv"), { out: config.innerChannels, kernel: 1 });
  let h = conv2d(z, decoder.at("conv_in"), { out: channels[top]!, dtype: w.graph.dtype });
  h = midBlock(decoder.at("mid_block"), h, config);
  for (let level = top; level >= 0; level--) {
    const block = decoder.at("up_blocks", top - level);
    const out = channels[level]!;
    for (let i = 0; i <= layers; i++) {
      h = resBlock(block.at("resnets", i), h, { out, groups, eps });
      if (decoderAttention[level]) h = attentionBlock(block.at("attentions", i), h, groups);
    }
    if (level > 0) {
      const [, height, width] = h.shape as [number, number, number];
      h = conv2d(h, block.at("upsamplers.0.conv"), { out, resize: [2 * height, 2 * width] });
    }
  }
  const normed = groupNorm(h, decoder.at("conv_norm_out"), { groups, eps, act: "silu" });
  return conv2d(normed, decoder.at("conv_out"), { out: config.outChannels, dtype: "f32" });
}

/** Nearest entries of the codebook for a latent [N, h, w, C]: indices [N, h, w] (u32), and the entries themselves. */
export function quantizeLatent(w: Scope, latent: Tensor, { codes, latentChannels, kind }: AutoencoderConfig) {
  invariant(kind === "vq", "quantize: the first stage is an AutoencoderKL, expected a VQModel: it has no codebook");
  const name = w.at("quantize.embedding.weight").path;
  // In float32 whatever the graph's type: it is small, and rounding it would pick other codes.
  const codebook = w.graph.weight({ name, shape: [codes, latentChannels], layout: "plain", dtype: "f32" });
  return nearestCode(latent, codebook);
}

function midBlock(w: Scope, x: Tensor, { groups, midAttention, channels }: AutoencoderConfig): Tensor {
  const out = channels.at(-1)!;
  const h = resBlock(w.at("resnets.0"), x, { out, groups, eps });
  const a = midAttention ? attentionBlock(w.at("attentions.0"), h, groups) : h;
  return resBlock(w.at("resnets.1"), a, { out, groups, eps });
}

/** Self-attention over all pixels with one head as wide as the block. */
function attentionBlock(w: Scope, x: Tensor, groups: number): Tensor {
  const [n, height, width, out] = x.shape as [number, number, number, number];
  const h = reshape(groupNorm(x, w.at("group_norm"), { groups, eps }), [n, height * width, out]);
  const q = linear(h, w.at("to_q"), { out });
  const k = linear(h, w.at("to_k"), { out });
  const v = linear(h, w.at("to_v"), { out });
  return reshape(linear(attention(q, k, v, { heads: 1 }), w.at("to_out.0"), { out, residual: x }), x.shape);
}
