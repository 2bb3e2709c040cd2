import { invariant } from "../../core/invariant.js";
import type { UNetLayout } from "./unetLayout.js";
import type { AttentionRule } from "./unetNames.js";

/**
 * The JSON that diffusers would keep beside such a UNet: UNet2DConditionModel where there are transformers (its
 * `attention_head_dim` is the number of heads), else UNet2DModel (there it is the channels of a head; a list where
 * levels differ, which diffusers has no word for).
 */
export function unetConfig(layout: UNetLayout, rule: AttentionRule, sampleSize: number): Record<string, unknown> {
  const { channels, attends, transformer, resample, scaleShift, labels } = layout;
  const top = channels.length - 1;
  invariant(
    channels[0] === layout.modelChannels,
    `UNet: ${channels[0]} channels at the first level after ${layout.modelChannels}, expected a first multiple of 1`,
  );
  const common = {
    act_fn: "silu",
    block_out_channels: [...channels],
    center_input_sample: false,
    downsample_padding: 1,
    flip_sin_to_cos: true,
    freq_shift: 0,
    in_channels: layout.inChannels,
    layers_per_block: layout.resBlocks,
    mid_block_scale_factor: 1,
    norm_eps: 1e-5,
    norm_num_groups: 32,
    out_channels: layout.outChannels,
    resnet_time_scale_shift: scaleShift ? "scale_shift" : "default",
    sample_size: sampleSize,
    ...(resample === "resnet" ? { downsample_type: "resnet", upsample_type: "resnet" } : {}),
    ...(labels === undefined ? {} : { num_class_embeds: labels }),
  };
  const plainBlock =
    resample === "resnet" ? { down: "ResnetDownsample", up: "ResnetUpsample" } : { down: "Down", up: "Up" };
  const blocks = (attending: { readonly down: string; readonly up: string }) => ({
    down_block_types: attends.map((attend) => `${(attend ? attending : plainBlock).down}Block2D`),
    up_block_types: attends.map((attend) => `${(attend ? attending : plainBlock).up}Block2D`).reverse(),
  });
  // Levels without attention have no heads, but the list has a place for them.
  const used = (level: number) => attends[level] === true || level === top;
  const heads = channels.map((c, level) => (used(level) ? rule.heads(c) : 1));
  if (transformer) {
    return {
      _class_name: "UNet2DConditionModel",
      ...common,
      ...blocks({ down: "CrossAttnDown", up: "CrossAttnUp" }),
      attention_head_dim: heads,
      cross_attention_dim: transformer.contextWidth,
      only_cross_attention: transformer.crossOnly.some(Boolean) ? [...transformer.crossOnly] : false,
      transformer_layers_per_block: [...transformer.depths],
      use_linear_projection: transformer.linear,
    };
  }
  const widths = channels.map((c, level) => c / heads[level]!);
  const one = widths.every((width, level) => !used(level) || width === widths[top]);
  return {
    _class_name: "UNet2DModel",
    ...common,
    ...blocks({ down: "AttnDown", up: "AttnUp" }),
    attention_head_dim: one ? widths[top]! : widths,
    attn_norm_num_groups: 32, // without it, diffusers' middle of a scale_shift model has no norm before its attention
  };
}
