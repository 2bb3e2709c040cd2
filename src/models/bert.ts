import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { attention } from "../ops/attention.js";
import { embedding } from "../ops/embedding.js";
import { layerNorm } from "../ops/layerNorm.js";
import { linear } from "../ops/linear.js";

/**
 * The transformer that latent diffusion trains along with the UNet (Rombach et al. 2022, appendix E.2.1): captions for
 * text-to-image, boxes for layout-to-image. BERTEmbedder in the original code, LDMBertModel in diffusers.
 */
export interface BertConfig {
  /** Rows of the table of tokens. */
  readonly vocabulary: number;
  /** Tokens in the window: 77 for captions, 92 for layouts. */
  readonly positions: number;
  /** Channels of the context. */
  readonly width: number;
  /** Transformer blocks. */
  readonly layers: number;
  /** Attention heads. */
  readonly heads: number;
  /** Channels of a head. Heads together may be narrower or wider than `width`. */
  readonly headSize: number;
  /** Channels between the two layers of the feed-forward. */
  readonly mlpWidth: number;
}

/**
 * Reads `config.json` of diffusers' LDMBertModel.
 * @throws WebldmError that names a field with an impossible value
 */
export function parseBertConfig(json: unknown, file = "bert/config.json"): BertConfig {
  const f = new Fields(json, file);
  const act = f.raw("activation_function") ?? "gelu";
  if (act !== "gelu") throw new UnsupportedError(`${file}: activation_function is ${String(act)}, expected gelu`);
  return {
    vocabulary: f.count("vocab_size", 30522),
    positions: f.count("max_position_embeddings", 77),
    width: f.count("d_model", 1280),
    layers: f.count("encoder_layers", 32),
    heads: f.count("encoder_attention_heads", 8),
    headSize: f.count("head_dim", 64),
    mlpWidth: f.count("encoder_ffn_dim", 5120),
  };
}

/**
 * Token ids [N, T] (u32), T at most the window, to the context [N, T, width]. `w` is the root of the checkpoint's names.
 * Every token attends to every other, padding included, as in the reference.
 */
export function bertText(w: Scope, ids: Tensor, config: BertConfig): Tensor {
  const { vocabulary, positions, width, layers } = config;
  invariant(
    ids.shape.length === 2 && ids.shape[1]! <= positions,
    `bert: ids are ${showShape(ids.shape)}, expected [N, T] with T at most ${positions}`,
  );
  const model = w.at("model");
  const tokens = model.at("embed_tokens").matrix("weight", [vocabulary, width]);
  let h = embedding(ids, tokens, model.at("embed_positions").matrix("weight", [positions, width]));
  for (let i = 0; i < layers; i++) h = layer(model.at("layers", i), h, config);
  return layerNorm(h, model.at("layer_norm"));
}

function layer(w: Scope, x: Tensor, { width, heads, headSize, mlpWidth }: BertConfig): Tensor {
  const self = w.at("self_attn");
  const normed = layerNorm(x, w.at("self_attn_layer_norm"));
  const project = { out: heads * headSize, bias: false };
  const q = linear(normed, self.at("q_proj"), project);
  const k = linear(normed, self.at("k_proj"), project);
  const v = linear(normed, self.at("v_proj"), project);
  const h = linear(attention(q, k, v, { heads }), self.at("out_proj"), { out: width, residual: x });
  const mlp = linear(layerNorm(h, w.at("final_layer_norm")), w.at("fc1"), { out: mlpWidth, act: "gelu" });
  return linear(mlp, w.at("fc2"), { out: width, residual: h });
}
