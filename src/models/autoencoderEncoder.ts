import { invariant } from "../core/invariant.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { attentionBlock, eps, midBlock } from "./autoencoderBlocks.js";
import type { AutoencoderConfig } from "./autoencoderConfig.js";
import { resBlock } from "./resBlock.js";

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
