import { invariant, WebldmError } from "../../core/invariant.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { renamed } from "../../weights/view.js";
import { splitQkv } from "./qkv.js";
import type { UNetLayout } from "./unetLayout.js";

export interface AttentionRule {
  /** Heads of an attention over this many channels. */
  readonly heads: (channels: number) => number;
  /** All queries, all keys, all values (`use_new_attention_order`); else query, key and value of each head. */
  readonly newOrder: boolean;
}

/** The tensors of a UNet of the original code, names without prefix, under the names of diffusers. */
export function unetNames(
  tensors: ReadonlyMap<string, StoredTensor>,
  layout: UNetLayout,
  rule: AttentionRule,
): Map<string, StoredTensor> {
  const result = new Map<string, StoredTensor>();
  const add = (tensor: StoredTensor) => {
    invariant(!result.has(tensor.name), () => `UNet: two tensors are named ${tensor.name} in diffusers' form`);
    result.set(tensor.name, tensor);
  };
  for (const [name, tensor] of tensors) {
    const to = diffusersName(name, layout);
    if (to === undefined) throw new WebldmError(`UNet: ${name} is not part of any UNet of the original code`);
    const [, attention, part] = /^(.*attentions\.\d+)\.(qkv|norm|proj_out)\./.exec(to) ?? [];
    if (layout.transformer || attention === undefined) {
      add(renamed(tensor, to));
    } else if (part === "qkv") {
      const channels = tensor.shape[0]! / 3;
      for (const split of splitQkv(tensor, rule.heads(channels), rule.newOrder)) {
        add(renamed(split.tensor, to.replace(".qkv.", `.to_${split.part}.`), split.tensor.shape.slice(0, 2)));
      }
    } else {
      // A convolution over one axis, [C, C, 1], is a matrix.
      const place = part === "norm" ? "group_norm" : "to_out.0";
      add(renamed(tensor, to.replace(`.${part}.`, `.${place}.`), tensor.shape.slice(0, 2)));
    }
  }
  return result;
}

const plain: Readonly<Record<string, string>> = {
  "time_embed.0": "time_embedding.linear_1",
  "time_embed.2": "time_embedding.linear_2",
  "input_blocks.0.0": "conv_in",
  "out.0": "conv_norm_out",
  "out.2": "conv_out",
  label_emb: "class_embedding",
};

const resBlockParts: Readonly<Record<string, string>> = {
  "in_layers.0": "norm1",
  "in_layers.2": "conv1",
  "emb_layers.1": "time_emb_proj",
  "out_layers.0": "norm2",
  "out_layers.3": "conv2",
  skip_connection: "conv_shortcut",
};

/** Undefined where the name has no place in such a network. */
function diffusersName(name: string, { resBlocks, channels }: UNetLayout): string | undefined {
  const [, place = "", kind = ""] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
  const simple = plain[place];
  if (simple !== undefined) return `${simple}.${kind}`;
  const [, side, number, rest = ""] = /^(input_blocks\.|output_blocks\.|middle_block\.)(\d+)\.(.+)$/.exec(place) ?? [];
  const n = Number(number);
  const inside = (at: string | undefined, part: string | undefined) =>
    at && part ? `${at}.${part}.${kind}` : undefined;
  if (side === "middle_block.") {
    if (n === 1) return inside("mid_block.attentions.0", rest);
    return inside(n === 0 ? "mid_block.resnets.0" : n === 2 ? "mid_block.resnets.1" : undefined, resBlockParts[rest]);
  }
  if (side === undefined) return undefined;
  const [, element = "", part = ""] = /^(\d+)\.(.+)$/.exec(rest) ?? [];
  const perLevel = resBlocks + 1;
  const down = side === "input_blocks.";
  const index = down ? n - 1 : n;
  const level = Math.floor(index / perLevel);
  const j = index % perLevel;
  if (index < 0 || level >= channels.length) return undefined;
  const block = `${down ? "down" : "up"}_blocks.${level}`;
  const resampler = `${block}.${down ? "downsamplers" : "upsamplers"}.0`;
  const last = j === resBlocks;
  const resPart = resBlockParts[part];
  if (element === "0") {
    if (!down || !last) return inside(`${block}.resnets.${j}`, resPart);
    return inside(resampler, part === "op" ? "conv" : resPart);
  }
  if (!down && last && (element === "1" || element === "2")) {
    if (part === "conv") return inside(resampler, "conv");
    if (resPart) return inside(resampler, resPart);
  }
  return element === "1" && !resPart ? inside(`${block}.attentions.${j}`, part) : undefined;
}
