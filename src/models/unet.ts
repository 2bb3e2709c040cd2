import { invariant } from "../core/invariant.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { affine } from "../ops/affine.js";
import { concat } from "../ops/concat.js";
import { conv2d } from "../ops/conv2d.js";
import { groupNorm } from "../ops/groupNorm.js";
import { timestepEmbedding } from "../ops/timestepEmbedding.js";
import { attentionBlock } from "./attentionBlock.js";
import { checkLabels, embedLabels, timeLayers } from "./labelEmbedding.js";
import { resBlock } from "./resBlock.js";
import { spatialTransformer } from "./transformer.js";
import type { StageAttention, UNetConfig } from "./unetConfig.js";

/** What a denoiser is told besides the latent and the time. */
export interface UNetConditions {
  /** What cross-attention attends to: [N, T, D]; for models that have it, and for no other. */
  readonly context?: Tensor;
  /** For models with class labels, and for no other: indices [N] in u32, or what the {@link LabelEmbedding} asks for. */
  readonly labels?: Tensor;
}

/**
 * The denoiser of the paper (§3.2, §3.3): predicts from a noisy latent x [N, H, W, C] (f32), timesteps t [N] (f32) and
 * the conditions what the checkpoint was trained for (noise, or v), as [N, H, W, out] in f32.
 * Any H and W work; where a level's size is odd, the way up resizes to the skip connection's size.
 */
export function unet(w: Scope, x: Tensor, t: Tensor, conditions: UNetConditions, config: UNetConfig): Tensor {
  checkInputs(x, t, conditions, config);
  const { groups, eps, scaleShift } = config;
  const width = config.down[0]!.channels;
  const temb = timeEmbedding(w, t, conditions, config);
  const block = { groups, eps, temb, scaleShift };
  const attend = attender(conditions, config);
  const pad = config.padAfter ? ([0, 1, 0, 1] as const) : ([1, 1, 1, 1] as const);

  const image = config.centerInput ? affine(x, { scale: 2, shift: -1 }) : x;
  let h = conv2d(image, w.at("conv_in"), { out: width, dtype: w.graph.dtype });
  const skips = [h];
  for (const [level, { channels: out, blocks, attention, resampler }] of config.down.entries()) {
    const at = w.at("down_blocks", level);
    for (let i = 0; i < blocks; i++) {
      h = resBlock(at.at("resnets", i), h, { ...block, out });
      h = attend(at.at("attentions", i), h, attention);
      skips.push(h);
    }
    if (!resampler) continue;
    const sampler = at.at("downsamplers.0");
    if (resampler === "resnet") h = resBlock(sampler, h, { ...block, out, resample: "half" });
    else h = conv2d(h, sampler.at("conv"), { out, stride: 2, pad });
    skips.push(h);
  }

  const mid = w.at("mid_block");
  for (let i = 0; i < config.mid.blocks; i++) {
    h = resBlock(mid.at("resnets", i), h, { ...block, out: config.mid.channels });
    if (i === 0) h = attend(mid.at("attentions.0"), h, config.mid.attention);
  }

  for (const [level, { channels: out, blocks, attention, resampler }] of config.up.entries()) {
    const at = w.at("up_blocks", level);
    for (let i = 0; i < blocks; i++) {
      h = resBlock(at.at("resnets", i), concat(h, skips.pop()!), { ...block, out });
      h = attend(at.at("attentions", i), h, attention);
    }
    if (!resampler) continue;
    const sampler = at.at("upsamplers.0");
    const [, height, across] = skips.at(-1)!.shape as [number, number, number];
    if (resampler === "resnet") h = resBlock(sampler, h, { ...block, out, resample: [height, across] });
    else h = conv2d(h, sampler.at("conv"), { out, resize: [height, across] });
  }

  const normed = groupNorm(h, w.at("conv_norm_out"), { groups, eps, act: "silu" });
  return conv2d(normed, w.at("conv_out"), { out: config.outChannels, dtype: "f32" });
}

/** Times, and labels where the model takes them, to one vector a picture. */
function timeEmbedding(w: Scope, t: Tensor, { labels }: UNetConditions, config: UNetConfig): Tensor {
  const { timeWidth, cosineFirst, frequencyShift, labelsJoined } = config;
  const waves = { channels: config.down[0]!.channels, cosineFirst, frequencyShift };
  const classes =
    labels && config.labels && embedLabels(w.at("class_embedding"), labels, config.labels, timeWidth, waves);
  const added = labelsJoined ? undefined : classes;
  const time = timeLayers(w.at("time_embedding"), timestepEmbedding(t, waves), timeWidth, added);
  return classes && labelsJoined ? concat(time, classes) : time;
}

/** What follows a residual block, by the kind of attention. */
function attender({ context }: UNetConditions, { groups, eps, linearProjection }: UNetConfig) {
  return (w: Scope, h: Tensor, attention: StageAttention | undefined): Tensor => {
    if (!attention) return h;
    if (attention.kind === "pixels") return attentionBlock(w, h, { ...attention, eps });
    return spatialTransformer(w, h, context!, { ...attention, groups, linearProjection });
  };
}

function checkInputs(x: Tensor, t: Tensor, { context, labels }: UNetConditions, config: UNetConfig): void {
  const { inChannels, contextWidth } = config;
  const n = x.shape[0]!;
  invariant(
    x.shape.length === 4 && x.shape[3] === inChannels,
    `unet: input is ${showShape(x.shape)}, expected [N, H, W, ${inChannels}]`,
  );
  invariant(
    t.shape.length === 1 && t.shape[0] === n,
    `unet: timesteps are ${showShape(t.shape)}, expected [${n}], one for each picture`,
  );
  if (contextWidth === undefined) invariant(!context, "unet: a context was given, the model attends to none");
  else {
    invariant(context, `unet: the model attends to a context [N, T, ${contextWidth}], none was given`);
    invariant(
      context.shape.length === 3 && context.shape[0] === n && context.shape[2] === contextWidth,
      `unet: context is ${showShape(context.shape)}, expected [${n}, T, ${contextWidth}]`,
    );
  }
  if (!config.labels) invariant(!labels, "unet: class labels were given, the model takes none");
  else {
    invariant(labels, `unet: the model takes class labels (${config.labels.kind}), none were given`);
    checkLabels(labels, config.labels, config.timeWidth, n);
  }
}
