import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import type { LabelEmbedding } from "./labelEmbedding.js";

/** What follows each residual block of a stage. */
export type StageAttention =
  /** Attention among the pixels; with a norm of that many groups before it, or none. */
  | { readonly kind: "pixels"; readonly heads: number; readonly groups?: number }
  /** A spatial transformer of `depth` blocks; its first attention is to the context too where `onlyContext` is set. */
  | { readonly kind: "transformer"; readonly heads: number; readonly depth: number; readonly onlyContext: boolean };

/** What a stage does at its end to pass on half or twice the size: one convolution, or a residual block that resamples. */
export type Resampler = "conv" | "resnet";

/** Residual blocks at one resolution, on the way down or up. */
export interface UNetStage {
  /** Output channels of its blocks. */
  readonly channels: number;
  /** Number of residual blocks. */
  readonly blocks: number;
  /** After each block; none where absent. */
  readonly attention?: StageAttention;
  /** The last stage of each way has none. */
  readonly resampler?: Resampler;
}

/** A UNet, as `unet/config.json` (UNet2DConditionModel or UNet2DModel of diffusers) describes it. */
export interface UNetConfig {
  /** Channels of the latent, with what is joined to it. */
  readonly inChannels: number;
  /** Channels of the latent. */
  readonly outChannels: number;
  /** Stages in the order in which they run: from the highest resolution on, and back. */
  readonly down: readonly UNetStage[];
  /** Between both ways; the attention follows the first block. */
  readonly mid: Omit<UNetStage, "resampler">;
  /** The same on the way back: from the lowest resolution on. */
  readonly up: readonly UNetStage[];
  /** Groups of every norm. */
  readonly groups: number;
  /** Added to variances in norms. */
  readonly eps: number;
  /** Channels of the context; undefined for a model that attends to none. */
  readonly contextWidth?: number;
  /** How class labels enter; undefined for a model that takes none. */
  readonly labels?: LabelEmbedding;
  /** Labels are joined to the time embedding, instead of being added. */
  readonly labelsJoined: boolean;
  /** proj_in and proj_out of transformers are matrices, not 1 x 1 convolutions. */
  readonly linearProjection: boolean;
  /** The time embedding scales and shifts inside of residual blocks, instead of being added. */
  readonly scaleShift: boolean;
  /** Channels of the time embedding. */
  readonly timeWidth: number;
  /** Cosines in the first half of the sinusoidal embedding, else sines. */
  readonly cosineFirst: boolean;
  /** Taken from half the channels in the exponent of the sinusoidal embedding. */
  readonly frequencyShift: number;
  /** Convolutions that halve the size pad on the right and below only, instead of all around. */
  readonly padAfter: boolean;
  /** The input, in [0, 1], is brought to [-1, 1] first. */
  readonly centerInput: boolean;
  /** Side of the latent the model was trained on. */
  readonly sampleSize: number;
}

/** Fields whose other values name features that are not built, with the values that are. */
const plain: Readonly<Record<string, readonly unknown[]>> = {
  _class_name: ["UNet2DConditionModel", "UNet2DModel"],
  mid_block_scale_factor: [1],
  downsample_padding: [0, 1],
  act_fn: ["silu", "swish"],
  dual_cross_attention: [false],
  encoder_hid_dim: [],
  encoder_hid_dim_type: [],
  addition_embed_type: [],
  resnet_time_scale_shift: ["default", "scale_shift"],
  resnet_skip_time_act: [false],
  resnet_out_scale_factor: [1],
  time_embedding_type: ["positional"],
  time_embedding_act_fn: [],
  timestep_post_act: [],
  time_cond_proj_dim: [],
  conv_in_kernel: [3],
  conv_out_kernel: [3],
  attention_type: ["default"],
  cross_attention_norm: [],
};
// Accepted whatever they say: upcast_attention, for logits and softmax are float32 here always; and
// mid_block_only_cross_attention, for UNetMidBlock2DCrossAttn attends to the picture first whatever it says.

/** @throws UnsupportedError for a feature that is not built, WebldmError for an impossible value; both name the field. */
export function parseUNetConfig(json: unknown, file = "unet/config.json"): UNetConfig {
  const f = new Fields(json, file);
  for (const [name, allowed] of Object.entries(plain)) {
    const value = f.raw(name);
    if (value !== undefined && !allowed.includes(value)) throw unsupported(f, name);
  }
  const conditional = f.raw("_class_name") !== "UNet2DModel";
  const channels = f.counts("block_out_channels");
  const levels = channels.length;
  const groups = groupCount(f, channels);
  const types = { down: f.strings("down_block_types"), up: f.strings("up_block_types") };
  invariant(
    types.down.length === levels && types.up.length === levels,
    `${file}: ${levels} levels, ${types.down.length} down and ${types.up.length} up block types`,
  );
  const blocks = f.counts("layers_per_block", levels, 2);
  const attention = conditional ? conditionalAttention(f, channels, groups) : pixelAttention(f, channels, groups);
  const stage = (way: "down" | "up", type: string, i: number): UNetStage => {
    const level = way === "down" ? i : levels - 1 - i;
    const { kind, resnet } = blockType(type, way, file);
    // The blocks without attention say in their name how they resample; those with attention leave it to this field.
    const named =
      kind === "none" ? (resnet ? "resnet" : "conv") : f.oneOf(`${way}sample_type`, ["conv", "resnet"], "conv");
    const attends = kind === "none" ? undefined : attention(kind, way, level);
    return {
      channels: channels[level]!,
      blocks: blocks[level]! + (way === "up" ? 1 : 0),
      ...(attends ? { attention: attends } : {}),
      ...(i < levels - 1 ? { resampler: named } : {}),
    };
  };
  const down = types.down.map((type, i) => stage("down", type, i));
  const up = types.up.map((type, i) => stage("up", type, i));
  const mid = midStage(f, conditional, channels, attention);
  const context = [...down, mid, ...up].some((part) => part.attention?.kind === "transformer");
  const labels = labelKind(f);
  const size = f.raw("sample_size") ?? 64;
  const own = conditional ? 4 : 3;
  return {
    inChannels: f.count("in_channels", own),
    outChannels: f.count("out_channels", own),
    down,
    mid,
    up,
    groups,
    eps: f.number("norm_eps", 1e-5),
    ...(context ? { contextWidth: contextWidth(f, levels) } : {}),
    ...(labels ? { labels } : {}),
    labelsJoined: f.boolean("class_embeddings_concat", false),
    linearProjection: f.boolean("use_linear_projection", false),
    scaleShift: f.raw("resnet_time_scale_shift") === "scale_shift",
    timeWidth: f.count("time_embedding_dim", 4 * channels[0]!),
    cosineFirst: f.boolean("flip_sin_to_cos", true),
    frequencyShift: f.number("freq_shift", 0),
    padAfter: f.raw("downsample_padding") === 0,
    centerInput: f.boolean("center_input_sample", false),
    sampleSize: Array.isArray(size) ? Number(size[0]) : Number(size),
  };
}

const unsupported = (f: Fields, name: string): UnsupportedError =>
  new UnsupportedError(`${f.file}: ${name} is ${JSON.stringify(f.raw(name) ?? null)}, which is not supported yet`);

function groupCount(f: Fields, channels: readonly number[]): number {
  if (f.isNull("norm_num_groups")) throw unsupported(f, "norm_num_groups");
  const groups = f.count("norm_num_groups", 32);
  for (const c of channels) invariant(c % groups === 0, `${f.file}: ${c} channels do not split into ${groups} groups`);
  return groups;
}

type BlockKind = "none" | "Attn" | "CrossAttn";

function blockType(type: string, way: "down" | "up", file: string): { kind: BlockKind; resnet: boolean } {
  const name = way === "down" ? "DownBlock2D" : "UpBlock2D";
  const resnet = way === "down" ? "ResnetDownsampleBlock2D" : "ResnetUpsampleBlock2D";
  if (type === name) return { kind: "none", resnet: false };
  if (type === resnet) return { kind: "none", resnet: true };
  if (type === `Attn${name}`) return { kind: "Attn", resnet: false };
  if (type === `CrossAttn${name}`) return { kind: "CrossAttn", resnet: false };
  const known = [name, `Attn${name}`, `CrossAttn${name}`, resnet].join(", ");
  throw new UnsupportedError(`${file}: block type ${type} is not supported yet, expected one of ${known}`);
}

/** The attention of a level, by the kind of block. */
type AttentionOf = (kind: "Attn" | "CrossAttn", way: "down" | "mid" | "up", level: number) => StageAttention;

/** Heads of so many channels each. */
function headsOf(f: Fields, channels: number, width: number): number {
  invariant(channels % width === 0, `${f.file}: ${channels} channels do not split into heads of ${width}`);
  return channels / width;
}

/** UNet2DModel: `attention_head_dim` is the channels of a head, null for one head; a list where levels differ. */
function pixelAttention(f: Fields, channels: readonly number[], groups: number): AttentionOf {
  const widths = f.isNull("attention_head_dim") ? channels : f.counts("attention_head_dim", channels.length, 8);
  return (kind, _way, level) => {
    if (kind === "CrossAttn") {
      throw new UnsupportedError(`${f.file}: UNet2DModel with CrossAttn blocks is not supported, it has no context`);
    }
    return { kind: "pixels", heads: headsOf(f, channels[level]!, widths[level]!), groups };
  };
}

/**
 * UNet2DConditionModel: the published configs give the number of heads as `attention_head_dim` (diffusers keeps the
 * misnomer), but blocks without a context take the same number for the channels of a head.
 */
function conditionalAttention(f: Fields, channels: readonly number[], groups: number): AttentionOf {
  const levels = channels.length;
  const name = f.raw("num_attention_heads") === undefined ? "attention_head_dim" : "num_attention_heads";
  const heads = f.counts(name, levels, 8);
  const depths = f.counts("transformer_layers_per_block", levels, 1);
  const reverse = "reverse_transformer_layers_per_block"; // in the order in which stages run on the way up
  const upDepths = f.raw(reverse) === undefined ? depths : [...f.counts(reverse, levels)].reverse();
  const only = flags(f, "only_cross_attention", levels);
  return (kind, way, level) => {
    if (kind === "Attn") {
      const widths = f.counts("attention_head_dim", levels, 8);
      if (new Set(widths).size > 1) {
        throw new UnsupportedError(`${f.file}: Attn blocks with attention_head_dim by level are not supported`);
      }
      return { kind: "pixels", heads: headsOf(f, channels[level]!, widths[level]!), groups };
    }
    const [c, h] = [channels[level]!, heads[level]!];
    invariant(c % h === 0, `${f.file}: ${c} channels do not split into ${h} heads`);
    return {
      kind: "transformer",
      heads: h,
      depth: (way === "up" ? upDepths : depths)[level]!,
      onlyContext: way !== "mid" && only[level]!,
    };
  };
}

type Middle = UNetConfig["mid"];

function midStage(f: Fields, conditional: boolean, widths: readonly number[], attention: AttentionOf): Middle {
  const level = widths.length - 1;
  const channels = widths[level]!;
  if (f.isNull("mid_block_type")) return { channels, blocks: 0 };
  const usual = conditional ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D";
  const type = f.raw("mid_block_type") ?? usual;
  if (conditional && type === "UNetMidBlock2DCrossAttn") {
    return { channels, blocks: 2, attention: attention("CrossAttn", "mid", level) };
  }
  if (type !== "UNetMidBlock2D") throw unsupported(f, "mid_block_type");
  if (conditional) return { channels, blocks: 1 }; // so small, and without attention, is it in this class
  if (!f.boolean("add_attention", true)) return { channels, blocks: 2 };
  // Here diffusers leaves the norm out where the time embedding scales and shifts, unless groups are given.
  const { groups, ...bare } = attention("Attn", "mid", level) as StageAttention & { kind: "pixels" };
  const scaleShift = f.raw("resnet_time_scale_shift") === "scale_shift";
  const own = f.raw("attn_norm_num_groups") === undefined ? undefined : f.count("attn_norm_num_groups");
  const used = own ?? (scaleShift ? undefined : groups);
  return { channels, blocks: 2, attention: { ...bare, ...(used === undefined ? {} : { groups: used }) } };
}

function labelKind(f: Fields): LabelEmbedding | undefined {
  const kinds = ["timestep", "identity", "projection", "simple_projection"] as const;
  const type = f.raw("class_embed_type");
  if (type === undefined) {
    return f.raw("num_class_embeds") === undefined
      ? undefined
      : { kind: "table", classes: f.count("num_class_embeds") };
  }
  const kind = kinds.find((name) => name === type);
  if (!kind) throw unsupported(f, "class_embed_type");
  if (kind === "timestep" || kind === "identity") return { kind };
  return { kind, inputs: f.count("projection_class_embeddings_input_dim") };
}

function contextWidth(f: Fields, levels: number): number {
  const widths = f.counts("cross_attention_dim", levels, 1280);
  if (new Set(widths).size > 1) throw unsupported(f, "cross_attention_dim");
  return widths[0]!;
}

function flags(f: Fields, name: string, length: number): readonly boolean[] {
  const value = f.raw(name) ?? false;
  const list: unknown = typeof value === "boolean" ? new Array<boolean>(length).fill(value) : value;
  const fits = Array.isArray(list) && list.length === length && list.every((item) => typeof item === "boolean");
  invariant(fits, `${f.file}: ${name} is ${JSON.stringify(value)}, expected true, false or ${length} of these`);
  return list as boolean[];
}
