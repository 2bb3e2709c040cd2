import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { showShape } from "../core/shape.js";
import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { attention } from "../ops/attention.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { linear } from "../ops/linear.js";
import { resBlock } from "./resBlock.js";

/** The KL-regularised first stage of the paper (§3.1), as `vae/config.json` (AutoencoderKL) describes it. */
export interface AutoencoderConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels of each level, highest resolution first. */
  readonly channels: readonly number[];
  /** Residual blocks a level in the encoder; one more in the decoder. */
  readonly layers: number;
  readonly latentChannels: number;
  readonly groups: number;
  /** The denoiser sees (latent - shift) * scale. */
  readonly scalingFactor: number;
  readonly shiftFactor: number;
  readonly quantConv: boolean;
  readonly postQuantConv: boolean;
  readonly midAttention: boolean;
}

const eps = 1e-6;

/** @throws UnsupportedError for a feature that is not built yet, WebldmError for an impossible value; both name the field. */
export function parseAutoencoderConfig(json: unknown, file = "vae/config.json"): AutoencoderConfig {
  const f = new Fields(json, file);
  const channels = f.counts("block_out_channels");
  const expected: readonly [string, readonly string[]][] = [
    ["_class_name", ["AutoencoderKL"]],
    ["act_fn", ["silu", "swish"]],
    ["latents_mean", []],
    ["latents_std", []],
  ];
  for (const [name, allowed] of expected) {
    const value = f.raw(name);
    if (value !== undefined && !allowed.includes(value as string)) {
      throw new UnsupportedError(`${file}: ${name} is ${JSON.stringify(value)}, which is not supported yet`);
    }
  }
  for (const [name, type] of [
    ["down_block_types", "DownEncoderBlock2D"],
    ["up_block_types", "UpDecoderBlock2D"],
  ] as const) {
    const types = f.strings(name);
    const odd = types.find((t) => t !== type);
    if (odd) throw new UnsupportedError(`${file}: block type ${odd} is not supported yet, expected ${type}`);
    invariant(
      types.length === channels.length,
      `${file}: ${name} has ${types.length} entries for ${channels.length} levels`,
    );
  }
  const groups = f.count("norm_num_groups", 32);
  for (const c of channels) invariant(c % groups === 0, `${file}: ${c} channels do not split into ${groups} groups`);
  return {
    inChannels: f.count("in_channels", 3),
    outChannels: f.count("out_channels", 3),
    channels,
    layers: f.count("layers_per_block", 1),
    latentChannels: f.count("latent_channels", 4),
    groups,
    scalingFactor: f.number("scaling_factor", 0.18215),
    shiftFactor: f.number("shift_factor", 0),
    quantConv: f.boolean("use_quant_conv", true),
    postQuantConv: f.boolean("use_post_quant_conv", true),
    midAttention: f.boolean("mid_block_add_attention", true),
  };
}

/** Pixels per latent pixel along each side. */
export const downsampling = (config: AutoencoderConfig): number => 2 ** (config.channels.length - 1);

/**
 * Picture [N, H, W, 3] in [-1, 1] to the moments of the latent, [N, H/f, W/f, 2 * latentChannels]: mean, then
 * log-variance (not clamped), in f32. No scaling factor is applied.
 */
export function encodeMoments(w: Scope, image: Tensor, config: AutoencoderConfig): Tensor {
  const { channels, layers, groups, latentChannels } = config;
  invariant(
    image.shape.at(-1) === config.inChannels,
    `encoder: image is ${showShape(image.shape)}, expected ${config.inChannels} channels`,
  );
  const encoder = w.at("encoder");
  const top = channels.length - 1;
  let h = conv2d(image, encoder.at("conv_in"), { out: channels[0]!, dtype: w.graph.dtype });
  for (let level = 0; level <= top; level++) {
    const block = encoder.at("down_blocks", level);
    const out = channels[level]!;
    for (let i = 0; i < layers; i++) h = resBlock(block.at("resnets", i), h, { out, groups, eps });
    if (level < top) h = conv2d(h, block.at("downsamplers.0.conv"), { out, stride: 2, pad: [0, 1, 0, 1] });
  }
  h = midBlock(encoder.at("mid_block"), h, config);
  const normed = groupNorm(h, encoder.at("conv_norm_out"), { groups, eps, act: "silu" });
  const moments = conv2d(normed, encoder.at("conv_out"), { out: 2 * latentChannels, dtype: "f32" });
  return config.quantConv ? conv2d(moments, w.at("quant_conv"), { out: 2 * latentChannels, kernel: 1 }) : moments;
}

/**
 * Latent [N, h, w, latentChannels] (f32), as the encoder makes it, without scaling factor, to a picture
 * [N, f * h, f * w, 3], roughly in [-1, 1] and not clamped, in f32.
 */
export function decodeLatent(w: Scope, latent: Tensor, config: AutoencoderConfig): Tensor {
  const { channels, layers, groups, latentChannels } = config;
  invariant(
    latent.shape.at(-1) === latentChannels,
    `decoder: latent is ${showShape(latent.shape)}, expected ${latentChannels} channels`,
  );
  const decoder = w.at("decoder");
  const top = channels.length - 1;
  const z = config.postQuantConv ? conv2d(latent, w.at("post_quant_conv"), { out: latentChannels, kernel: 1 }) : latent;
  let h = conv2d(z, decoder.at("conv_in"), { out: channels[top]!, dtype: w.graph.dtype });
  h = midBlock(decoder.at("mid_block"), h, config);
  for (let level = top; level >= 0; level--) {
    const block = decoder.at("up_blocks", top - level);
    const out = channels[level]!;
    for (let i = 0; i <= layers; i++) h = resBlock(block.at("resnets", i), h, { out, groups, eps });
    if (level > 0) {
      const [, height, width] = h.shape as [number, number, number];
      h = conv2d(h, block.at("upsamplers.0.conv"), { out, resize: [2 * height, 2 * width] });
    }
  }
  const normed = groupNorm(h, decoder.at("conv_norm_out"), { groups, eps, act: "silu" });
  return conv2d(normed, decoder.at("conv_out"), { out: config.outChannels, dtype: "f32" });
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
