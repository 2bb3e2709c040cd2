import { invariant } from "../core/invariant.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { concat } from "../ops/concat.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";
import { timestepEmbedding } from "../ops/timestepEmbedding.js";
import { resBlock } from "./resBlock.js";
import { spatialTransformer } from "./transformer.js";
import type { UNetConfig } from "./unetConfig.js";

/** What a denoiser is told besides the latent and the time. */
export interface UNetConditions {
  /** What cross-attention attends to: [N, T, D], for models that have it. */
  readonly context?: Tensor;
  /** Of models with class labels, and of no other: class indices [N] in u32, or what the kind of embedding asks for. */
  readonly labels?: Tensor;
}

/**
 * The denoiser of the paper (§3.2, §3.3): predicts from a noisy latent x [N, H, W, C] (f32), timesteps t [N] (f32) and
 * the conditions what the checkpoint was trained for (noise, or v), as [N, H, W, out] in f32.
 * Any H and W work; where a level's size is odd, the way up resizes to the skip connection's size.
 */
export function unet(w: Scope, x: Tensor, t: Tensor, { context, labels }: UNetConditions, config: UNetConfig): Tensor {
  const { channels, attends, layers, heads, depths, groups, eps, contextWidth, linearProjection } = config;
  const { graph } = w;
  invariant(
    x.shape.at(-1) === config.inChannels,
    `unet: input is ${showShape(x.shape)}, expected ${config.inChannels} channels`,
  );
  invariant(!labels, "unet: class labels were given, the model has no class embedding");
  invariant(context, "unet: the model attends to a context, none was given");
  invariant(
    context.shape.at(-1) === contextWidth,
    `unet: context is ${showShape(context.shape)}, expected ${contextWidth} channels`,
  );
  const top = channels.length - 1;
  const width = channels[0]!;
  const { cosineFirst, frequencyShift } = config;
  const sinusoid = timestepEmbedding(t, { channels: width, cosineFirst, frequencyShift });
  const hidden = linear(sinusoid, w.at("time_embedding.linear_1"), { out: 4 * width, act: "silu" });
  const temb = linear(hidden, w.at("time_embedding.linear_2"), { out: 4 * width });

  const res = (at: Scope, h: Tensor, out: number) => resBlock(at, h, { out, groups, eps, temb });
  const attend = (at: Scope, h: Tensor, level: number) =>
    spatialTransformer(at, h, context, { heads: heads[level]!, depth: depths[level]!, groups, linearProjection });

  let h = conv2d(x, w.at("conv_in"), { out: width, dtype: graph.dtype });
  const skips = [h];
  for (let level = 0; level <= top; level++) {
    const block = w.at("down_blocks", level);
    for (let i = 0; i < layers; i++) {
      h = res(block.at("resnets", i), h, channels[level]!);
      if (attends[level]) h = attend(block.at("attentions", i), h, level);
      skips.push(h);
    }
    if (level < top) {
      h = conv2d(h, block.at("downsamplers.0.conv"), { out: channels[level]!, stride: 2 });
      skips.push(h);
    }
  }

  const mid = w.at("mid_block");
  h = res(mid.at("resnets.0"), h, channels[top]!);
  h = attend(mid.at("attentions.0"), h, top);
  h = res(mid.at("resnets.1"), h, channels[top]!);

  for (let level = top; level >= 0; level--) {
    const block = w.at("up_blocks", top - level);
    for (let i = 0; i <= layers; i++) {
      h = res(block.at("resnets", i), concat(h, skips.pop()!), channels[level]!);
      if (attends[level]) h = attend(block.at("attentions", i), h, level);
    }
    if (level > 0) {
      const [, height, across] = skips.at(-1)!.shape as [number, number, number];
      h = conv2d(h, block.at("upsamplers.0.conv"), { out: channels[level]!, resize: [height, across] });
    }
  }

  const normed = groupNorm(h, w.at("conv_norm_out"), { groups, eps, act: "silu" });
  return conv2d(normed, w.at("conv_out"), { out: config.outChannels, dtype: "f32" });
}
