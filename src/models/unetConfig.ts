import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";

/** The conditional UNet of Stable Diffusion 1.x and 2.x, as `unet/config.json` (UNet2DConditionModel) describes it. */
export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels of each level, highest resolution first. */
  readonly channels: readonly number[];
  /** Whether each level has transformers. */
  readonly attends: readonly boolean[];
  /** Residual blocks a level on the way down; one more on the way up. */
  readonly layers: number;
  /** Attention heads of each level. */
  readonly heads: readonly number[];
  /** Transformer blocks in each transformer, by level. */
  readonly depths: readonly number[];
  readonly groups: number;
  readonly eps: number;
  /** Channels of the context. */
  readonly contextWidth: number;
  readonly linearProjection: boolean;
  readonly cosineFirst: boolean;
  readonly frequencyShift: number;
  /** Side of the latent the model was trained on. */
  readonly sampleSize: number;
}

/** Fields whose other values name features that are not built yet, with the values that are. */
const plain: Readonly<Record<string, readonly unknown[]>> = {
  _class_name: ["UNet2DConditionModel"],
  center_input_sample: [false],
  mid_block_type: ["UNetMidBlock2DCrossAttn"],
  only_cross_attention: [false],
  downsample_padding: [1],
  mid_block_scale_factor: [1],
  act_fn: ["silu", "swish"],
  dual_cross_attention: [false],
  encoder_hid_dim: [],
  encoder_hid_dim_type: [],
  class_embed_type: [],
  addition_embed_type: [],
  num_class_embeds: [],
  resnet_time_scale_shift: ["default"],
  resnet_skip_time_act: [false],
  resnet_out_scale_factor: [1],
  time_embedding_type: ["positional"],
  time_embedding_dim: [],
  time_embedding_act_fn: [],
  timestep_post_act: [],
  time_cond_proj_dim: [],
  conv_in_kernel: [3],
  conv_out_kernel: [3],
  attention_type: ["default"],
  class_embeddings_concat: [false],
  mid_block_only_cross_attention: [false],
  cross_attention_norm: [],
  reverse_transformer_layers_per_block: [],
};

/** @throws UnsupportedError for a feature that is not built yet, WebldmError for an impossible value; both name the field. */
export function parseUNetConfig(json: unknown, file = "unet/config.json"): UNetConfig {
  const f = new Fields(json, file);
  for (const [name, allowed] of Object.entries(plain)) {
    const value = f.raw(name);
    if (value !== undefined && !allowed.includes(value)) {
      throw new UnsupportedError(`${file}: ${name} is ${JSON.stringify(value)}, which is not supported yet`);
    }
  }
  const channels = f.counts("block_out_channels");
  const levels = channels.length;
  const down = f.strings("down_block_types");
  const up = f.strings("up_block_types");
  invariant(
    down.length === levels && up.length === levels,
    `${file}: ${levels} levels, ${down.length} down and ${up.length} up block types`,
  );
  const attends = down.map((type) => blockAttends(type, "DownBlock2D", file));
  for (const [i, type] of up.entries()) {
    const mirrored = blockAttends(type, "UpBlock2D", file) === attends[levels - 1 - i];
    if (!mirrored) throw new UnsupportedError(`${file}: up_block_types do not mirror down_block_types`);
  }
  const groups = f.count("norm_num_groups", 32);
  // The published configs give the number of heads under this name (diffusers keeps the misnomer).
  const heads = f.counts(
    f.raw("num_attention_heads") === undefined ? "attention_head_dim" : "num_attention_heads",
    levels,
    8,
  );
  for (const [i, c] of channels.entries()) {
    invariant(c % groups === 0, `${file}: ${c} channels do not split into ${groups} groups`);
    invariant(c % heads[i]! === 0, `${file}: ${c} channels do not split into ${heads[i]} heads`);
  }
  const size = f.raw("sample_size") ?? 64;
  return {
    inChannels: f.count("in_channels", 4),
    outChannels: f.count("out_channels", 4),
    channels,
    attends,
    layers: f.count("layers_per_block", 2),
    heads,
    depths: f.counts("transformer_layers_per_block", levels, 1),
    groups,
    eps: f.number("norm_eps", 1e-5),
    contextWidth: f.count("cross_attention_dim", 1280),
    linearProjection: f.boolean("use_linear_projection", false),
    cosineFirst: f.boolean("flip_sin_to_cos", true),
    frequencyShift: f.number("freq_shift", 0),
    sampleSize: Array.isArray(size) ? Number(size[0]) : Number(size),
  };
}

function blockAttends(type: string, name: string, file: string): boolean {
  if (type === name) return false;
  if (type === `CrossAttn${name}`) return true;
  throw new UnsupportedError(`${file}: block type ${type} is not supported yet, expected ${name} or CrossAttn${name}`);
}
