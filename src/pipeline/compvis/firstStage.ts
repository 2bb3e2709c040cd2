import { invariant, UnsupportedError, WebldmError } from "../../core/invariant.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { renamed } from "../../weights/view.js";
import type { Part } from "./types.js";
import { countOf } from "./unetLayout.js";

type Tensors = ReadonlyMap<string, StoredTensor>;

export interface FirstStageFacts {
  /** The denoiser sees latents times this; left out of the JSON where it is not known. */
  readonly scaleFactor?: number;
  /** Side of the training pictures. */
  readonly side?: number;
}

/**
 * The first stage of the original code (AutoencoderKL, VQModel, VQModelInterface; names without prefix, such as
 * `encoder.conv_in.weight`) as diffusers' AutoencoderKL or VQModel. What only training used, `loss.*`, is left out.
 */
export function firstStagePart(tensors: Tensors, { scaleFactor, side }: FirstStageFacts = {}): Part {
  const axis = (name: string, i: number): number => {
    const size = tensors.get(name)?.shape[i];
    invariant(size !== undefined, `first stage: ${name} is missing, or has no axis ${i}`);
    return size;
  };
  const modern = tensors.has("encoder.down_blocks.0.resnets.0.conv1.weight");
  invariant(!modern, "first stage: the names are those of diffusers already; give the folder with their config.json");
  const levels = countOf(tensors, "encoder.down");
  invariant(levels > 0, "first stage: expected an encoder, encoder.down.0 is missing");
  const layers = countOf(tensors, "encoder.down.0.block");
  for (let level = 0; level < levels; level++) {
    const counts = [countOf(tensors, `encoder.down.${level}.block`), countOf(tensors, `decoder.up.${level}.block`) - 1];
    invariant(
      counts.every((count) => count === layers),
      `first stage: level ${level} has ${counts.join(" and ")} residual blocks, expected ${layers}`,
    );
  }
  const of = <T>(read: (level: number) => T): T[] => Array.from({ length: levels }, (_, level) => read(level));
  const attends = (side: string) => (level: number) => tensors.has(`${side}.${level}.attn.0.norm.weight`);
  const codes = tensors.get("quantize.embedding.weight");
  const latent = axis("decoder.conv_in.weight", 1);
  const embedded =
    codes?.shape[1] ?? (tensors.has("post_quant_conv.weight") ? axis("post_quant_conv.weight", 1) : latent);
  if (!codes && embedded !== latent) {
    throw new UnsupportedError(
      `first stage: latents of ${embedded} channels between networks of ${latent}, which is not supported yet`,
    );
  }
  const config = {
    _class_name: codes ? "VQModel" : "AutoencoderKL",
    act_fn: "silu",
    block_out_channels: of((level) => axis(`encoder.down.${level}.block.0.conv1.weight`, 0)),
    down_block_types: of(attends("encoder.down")).map((attend) => `${attend ? "Attn" : ""}DownEncoderBlock2D`),
    up_block_types: of(attends("decoder.up"))
      .map((attend) => `${attend ? "Attn" : ""}UpDecoderBlock2D`)
      .reverse(),
    in_channels: axis("encoder.conv_in.weight", 1),
    out_channels: axis("decoder.conv_out.weight", 0),
    latent_channels: latent,
    layers_per_block: layers,
    mid_block_add_attention: tensors.has("decoder.mid.attn_1.norm.weight"),
    norm_num_groups: 32,
    ...(side === undefined ? {} : { sample_size: side }),
    ...(scaleFactor === undefined ? {} : { scaling_factor: scaleFactor }),
    ...(codes
      ? { num_vq_embeddings: codes.shape[0], vq_embed_dim: embedded }
      : {
          use_quant_conv: tensors.has("quant_conv.weight"),
          use_post_quant_conv: tensors.has("post_quant_conv.weight"),
        }),
  };
  return { config, tensors: firstStageNames(tensors, levels) };
}

const attentionParts: Readonly<Record<string, string>> = {
  norm: "group_norm",
  q: "to_q",
  k: "to_k",
  v: "to_v",
  proj_out: "to_out.0",
};

function firstStageNames(tensors: Tensors, levels: number): Map<string, StoredTensor> {
  const result = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    if (/^(loss|model_ema)\./.test(name)) continue;
    const to = diffusersName(name, levels);
    if (to === undefined)
      throw new WebldmError(`first stage: ${name} is not part of a first stage of the original code`);
    invariant(!result.has(to), () => `first stage: two tensors are named ${to} in diffusers' form`);
    // The projections of attention are 1 x 1 convolutions there and matrices here.
    const shape = /\.attentions\.\d+\.to_.*weight$/.test(to) ? tensor.shape.slice(0, 2) : tensor.shape;
    result.set(to, renamed(tensor, to, shape));
  }
  return result;
}

/** Undefined where the name has no place in such a network. */
function diffusersName(name: string, levels: number): string | undefined {
  if (/^(quant_conv|post_quant_conv|(en|de)coder\.conv_(in|out))\.(weight|bias)$/.test(name)) return name;
  if (name === "quantize.embedding.weight") return name;
  const [, half, norm] = /^(encoder|decoder)\.norm_out\.(weight|bias)$/.exec(name) ?? [];
  if (half) return `${half}.conv_norm_out.${norm}`;

  const [, middleHalf, kind, number, middleRest = ""] =
    /^(encoder|decoder)\.mid\.(block|attn)_([12])\.(.+)$/.exec(name) ?? [];
  if (middleHalf) {
    const i = Number(number) - 1;
    const at = `${middleHalf}.mid_block`;
    if (kind === "block") return inside(`${at}.resnets.${i}`, resnetPart(middleRest));
    return i === 0 ? inside(`${at}.attentions.0`, attentionPart(middleRest)) : undefined;
  }

  const [, side, level = "", what, index, rest = ""] =
    /^(encoder\.down|decoder\.up)\.(\d+)\.(?:(block|attn)\.(\d+)|downsample|upsample)\.(.+)$/.exec(name) ?? [];
  if (!side) return undefined;
  // The decoder counts its levels in the order of resolution there, and in the order of execution here.
  const down = side === "encoder.down";
  const at = down ? `encoder.down_blocks.${level}` : `decoder.up_blocks.${levels - 1 - Number(level)}`;
  if (what === "block") return inside(`${at}.resnets.${index}`, resnetPart(rest));
  if (what === "attn") return inside(`${at}.attentions.${index}`, attentionPart(rest));
  return inside(
    `${at}.${down ? "downsamplers" : "upsamplers"}.0`,
    /^conv\.(weight|bias)$/.test(rest) ? rest : undefined,
  );
}

const inside = (at: string, part: string | undefined): string | undefined => (part ? `${at}.${part}` : undefined);

function resnetPart(name: string): string | undefined {
  if (!/^(norm1|conv1|norm2|conv2|nin_shortcut)\.(weight|bias)$/.test(name)) return undefined;
  return name.replace("nin_shortcut", "conv_shortcut");
}

function attentionPart(name: string): string | undefined {
  const [, part = "", kind] = /^(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const to = attentionParts[part];
  return to && `${to}.${kind}`;
}
