import { invariant } from "../core/invariant.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { nearestCode } from "../ops/nearestCode.js";
import { attentionBlock, eps, midBlock } from "./autoencoderBlocks.js";
import type { AutoencoderConfig } from "./autoencoderConfig.js";
import { resBlock } from "./resBlock.js";

// The encoder, `autoencoderEncoder.ts`, is fetched with the first picture to encode: most tasks need the decoder alone.
export { type AutoencoderConfig, downsampling, parseAutoencoderConfig } from "./autoencoderConfig.js";

/** How a latent is decoded. */
export interface DecodeOptions {
  /** VQ: whether the latent is snapped to the codebook first; it is unless false. */
  readonly quantize?: boolean;
}

/**
 * Latent [N, h, w, latentChannels] (f32), as the encoder makes it, without scaling factor, to a picture
 * [N, f * h, f * w, 3], roughly in [-1, 1] and not clamped, in f32.
 */
export function decodeLatent(w: Scope, latent: Tensor, config: AutoencoderConfig, options: DecodeOptions = {}): Tensor {
  const { groups, outChannels } = config;
  const h = decodeToLevel(w, latent, config, 0, options);
  const normed = groupNorm(h, w.at("decoder.conv_norm_out"), { groups, eps, act: "silu" });
  return conv2d(normed, w.at("decoder.conv_out"), { out: outChannels, dtype: "f32" });
}

/** The decoder's blocks from the latent to those of a level, whose pictures are f * 2^-level times the latent's size. */
export function decodeToLevel(
  w: Scope,
  latent: Tensor,
  config: AutoencoderConfig,
  last: number,
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
  for (let level = top; level >= last; level--) {
    const block = decoder.at("up_blocks", top - level);
    const out = channels[level]!;
    for (let i = 0; i <= layers; i++) {
      h = resBlock(block.at("resnets", i), h, { out, groups, eps });
      if (decoderAttention[level]) h = attentionBlock(block.at("attentions", i), h, groups);
    }
    if (level > last) {
      const [, height, width] = h.shape as [number, number, number];
      h = conv2d(h, block.at("upsamplers.0.conv"), { out, resize: [2 * height, 2 * width] });
    }
  }
  return h;
}

/** Nearest entries of the codebook for a latent [N, h, w, C]: indices [N, h, w] (u32), and the entries themselves. */
export function quantizeLatent(w: Scope, latent: Tensor, { codes, latentChannels, kind }: AutoencoderConfig) {
  invariant(kind === "vq", "quantize: the first stage is an AutoencoderKL, expected a VQModel: it has no codebook");
  const name = w.at("quantize.embedding.weight").path;
  // In float32 whatever the graph's type: it is small, and rounding it would pick other codes.
  const codebook = w.graph.weight({ name, shape: [codes, latentChannels], layout: "plain", dtype: "f32" });
  return nearestCode(latent, codebook);
}
