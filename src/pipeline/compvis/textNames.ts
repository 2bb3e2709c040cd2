import { invariant } from "../../core/invariant.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { transposed } from "../../weights/transposed.js";
import { renamed, rowsOf } from "../../weights/view.js";
import type { Part } from "./types.js";

// Names of the text encoders in checkpoints of the original code, without the prefix `cond_stage_model.`, and those of
// transformers and diffusers. A name that is not known stays as it is, so that the loader can complain of it.

type Tensors = ReadonlyMap<string, StoredTensor>;

const headSize = 64; // of every released text encoder; weights do not tell it

const bertFixed: Readonly<Record<string, string>> = {
  "transformer.token_emb.weight": "model.embed_tokens.weight",
  "transformer.pos_emb.emb.weight": "model.embed_positions.weight",
  "transformer.norm.weight": "model.layer_norm.weight",
  "transformer.norm.bias": "model.layer_norm.bias",
};

/** Layers of x-transformers take turns: attention, each a norm (0) and a block (1), then feed-forward. */
const bertBlocks: readonly Readonly<Record<string, string>>[] = [
  {
    "0": "self_attn_layer_norm",
    "1.to_q": "self_attn.q_proj",
    "1.to_k": "self_attn.k_proj",
    "1.to_v": "self_attn.v_proj",
    "1.to_out": "self_attn.out_proj",
  },
  { "0": "final_layer_norm", "1.net.0.0": "fc1", "1.net.2": "fc2" },
];

/**
 * BERTEmbedder (and TransformerEmbedder), whose transformer is that of x-transformers, as diffusers' LDMBertModel. The
 * head that predicts tokens, `to_logits`, is left out: only training used it.
 */
export function bertNames(tensors: Tensors): Part {
  const named = mapNames(tensors, (name) => {
    const fixed = bertFixed[name];
    if (fixed) return fixed;
    if (name.startsWith("transformer.to_logits.")) return undefined;
    const [, index, part = "", suffix] =
      /^transformer\.attn_layers\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name) ?? [];
    const block = bertBlocks[Number(index) % 2]?.[part];
    return block ? `model.layers.${Math.floor(Number(index) / 2)}.${block}.${suffix}` : name;
  });
  const [vocabulary, width] = matrix(named, "model.embed_tokens.weight");
  const [inner] = matrix(named, "model.layers.0.self_attn.q_proj.weight");
  const config = {
    architectures: ["LDMBertModel"],
    model_type: "ldmbert",
    activation_function: "gelu",
    vocab_size: vocabulary,
    max_position_embeddings: matrix(named, "model.embed_positions.weight")[0],
    d_model: width,
    encoder_layers: layersIn(named, /^model\.layers\.(\d+)\./),
    encoder_ffn_dim: matrix(named, "model.layers.0.fc1.weight")[0],
    encoder_attention_heads: headsOf(inner),
    head_dim: headSize,
  };
  return { config, tensors: named };
}

export interface OpenClipOptions {
  /** Attention heads; channels / 64 by default. */
  readonly heads?: number;
  /**
   * Leave out the last block and the projection: Stable Diffusion 2 takes the output of the last block but one through
   * the final norm. Without it, the model has transformers' `text_projection`.
   */
  readonly penultimate: boolean;
  /** "gelu" by default, as in OpenCLIP; OpenAI's own weights were trained with "quick_gelu". */
  readonly act?: "gelu" | "quick_gelu";
}

/**
 * The text tower of Stable Diffusion 2, ViT-H. Files that were put together from a diffusers folder lack its last block, since
 * those hold what is used and no more: there the last one is the last but one already.
 */
const tower = { width: 1024, blocks: 24 } as const;

const openClipFixed: Readonly<Record<string, string>> = {
  "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
  positional_embedding: "text_model.embeddings.position_embedding.weight",
  "ln_final.weight": "text_model.final_layer_norm.weight",
  "ln_final.bias": "text_model.final_layer_norm.bias",
};

const openClipParts: Readonly<Record<string, string>> = {
  ln_1: "layer_norm1",
  ln_2: "layer_norm2",
  "attn.out_proj": "self_attn.out_proj",
  "mlp.c_fc": "mlp.fc1",
  "mlp.c_proj": "mlp.fc2",
};

/**
 * The text transformer of OpenCLIP (FrozenOpenCLIPEmbedder, Stable Diffusion 2) or of OpenAI's CLIP (FrozenCLIPTextEmbedder,
 * RDM), named `model.transformer.resblocks...`, as transformers' CLIPTextModel or CLIPTextModelWithProjection. The packed
 * query, key and value are split; the picture's half and what only training used are left out.
 */
export function openClipNames(tensors: Tensors, options: OpenClipOptions): Part {
  const { penultimate, act = "gelu" } = options;
  const stored = new Map([...tensors].map(([name, tensor]) => [name.replace(/^model\./, ""), tensor]));
  const [vocabulary, width] = matrix(stored, "token_embedding.weight");
  const blocks = layersIn(stored, /^transformer\.resblocks\.(\d+)\./);
  const isCut = width === tower.width && blocks === tower.blocks - 1;
  const layers = penultimate && !isCut ? blocks - 1 : blocks;
  invariant(layers > 0, `text encoder: ${blocks} blocks, expected at least ${penultimate ? 2 : 1}`);

  const named = new Map<string, StoredTensor>();
  const add = (tensor: StoredTensor) => named.set(tensor.name, tensor);
  for (const [name, tensor] of stored) {
    if (/^(visual\.|logit_scale$|attn_mask$)/.test(name)) continue;
    const fixed = openClipFixed[name];
    const [, index, part = "", suffix] = /^transformer\.resblocks\.(\d+)\.(.+)[._](weight|bias)$/.exec(name) ?? [];
    const known = openClipParts[part];
    const layer = `text_model.encoder.layers.${index}`;
    if (fixed) add(renamed(tensor, fixed));
    else if (name === "text_projection") {
      // The original multiplies x by this matrix, transformers by the transpose of its own.
      if (!penultimate) add(transposed(tensor, "text_projection.weight"));
    } else if (Number(index) >= layers) continue;
    else if (known) add(renamed(tensor, `${layer}.${known}.${suffix}`));
    else if (part === "attn.in_proj") {
      invariant(tensor.shape[0] === 3 * width, () => `${tensor.name}: ${tensor.shape[0]} rows, expected ${3 * width}`);
      ["q", "k", "v"].forEach((letter, i) => {
        add(rowsOf(tensor, `${layer}.self_attn.${letter}_proj.${suffix}`, [{ first: i * width, count: width }]));
      });
    } else add(renamed(tensor, name));
  }
  return { config: clipConfig(named, { vocabulary, width, layers, act, heads: options.heads }), tensors: named };
}

/**
 * FrozenCLIPEmbedder (Stable Diffusion 1): transformers' own names behind `transformer.`, with or without the level
 * `text_model`. Some tools save a `text_projection` beside them, which the model has no use for.
 */
export function clipNames(tensors: Tensors, { heads }: Pick<OpenClipOptions, "heads"> = {}): Part {
  const named = mapNames(tensors, (name) => {
    const inner = name.replace(/^transformer\./, "");
    if (inner.endsWith("position_ids") || inner === "text_projection") return undefined;
    return /^(embeddings|encoder|final_layer_norm)\./.test(inner) ? `text_model.${inner}` : inner;
  });
  const [vocabulary, width] = matrix(named, "text_model.embeddings.token_embedding.weight");
  const layers = layersIn(named, /^text_model\.encoder\.layers\.(\d+)\./);
  return {
    config: clipConfig(named, { vocabulary, width, layers, act: "quick_gelu", heads }),
    tensors: named,
  };
}

interface ClipFacts {
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly act: string;
  readonly heads: number | undefined;
}

function clipConfig(named: Tensors, { vocabulary, width, layers, act, heads }: ClipFacts): Record<string, unknown> {
  const projection = named.get("text_projection.weight");
  return {
    architectures: [projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"],
    model_type: "clip_text_model",
    vocab_size: vocabulary,
    hidden_size: width,
    intermediate_size: matrix(named, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
    num_hidden_layers: layers,
    num_attention_heads: heads ?? headsOf(width),
    max_position_embeddings: matrix(named, "text_model.embeddings.position_embedding.weight")[0],
    hidden_act: act,
    layer_norm_eps: 1e-5,
    ...(projection ? { projection_dim: projection.shape[0] } : {}),
  };
}

/** Tensors under other names; those without a new name are left out. */
function mapNames(tensors: Tensors, rename: (name: string) => string | undefined): Map<string, StoredTensor> {
  const named = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    const to = rename(name);
    if (to !== undefined) named.set(to, renamed(tensor, to));
  }
  return named;
}

function matrix(tensors: Tensors, name: string): readonly [number, number] {
  const tensor = tensors.get(name);
  invariant(tensor, () => `text encoder: ${name} is missing`);
  const [rows, columns, ...more] = tensor.shape;
  invariant(
    rows !== undefined && columns !== undefined && more.length === 0,
    () => `text encoder: ${name} has shape [${tensor.shape.join(", ")}], expected a matrix`,
  );
  return [rows, columns];
}

function layersIn(tensors: Tensors, pattern: RegExp): number {
  let layers = 0;
  for (const name of tensors.keys()) {
    const [, index] = pattern.exec(name) ?? [];
    if (index !== undefined) layers = Math.max(layers, Number(index) + 1);
  }
  return layers;
}

function headsOf(width: number): number {
  invariant(width % headSize === 0, `text encoder: ${width} channels do not split into heads of ${headSize}`);
  return width / headSize;
}
