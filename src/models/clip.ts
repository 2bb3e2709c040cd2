import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import type { Activation } from "../ops/activation.js";
import { attention } from "../ops/attention.js";
import { embedding } from "../ops/embedding.js";
import { l2Normalize } from "../ops/l2Normalize.js";
import { layerNorm } from "../ops/layerNorm.js";
import { linear } from "../ops/linear.js";

/** The text transformer of CLIP (Radford et al. 2021), as `text_encoder/config.json` describes it. */
export interface ClipConfig {
  /** Rows of the table of tokens. */
  readonly vocabulary: number;
  /** Channels of the hidden states. */
  readonly width: number;
  /** Transformer blocks. */
  readonly layers: number;
  /** Attention heads, which share the width. */
  readonly heads: number;
  /** Channels between the two layers of the feed-forward. */
  readonly mlpWidth: number;
  /** Tokens in the window: 77 for the released models. */
  readonly positions: number;
  /** Activation of the feed-forward. */
  readonly act: Activation;
  /** Added to variances in norms. */
  readonly eps: number;
  /** Channels of the space shared with pictures, where the model has the projection to it (CLIPTextModelWithProjection). */
  readonly projection?: number;
  /** Id that ends a prompt; where absent, the largest id does. */
  readonly endToken?: number;
}

const acts: Readonly<Record<string, Activation>> = { quick_gelu: "quickGelu", gelu: "gelu", gelu_new: "geluTanh" };

/** `eos_token_id` of older files, which is no token's: transformers then takes the largest id for the end. */
const largestIdEnds = 2;

/** @throws WebldmError that names a field with an impossible value. */
export function parseClipConfig(json: unknown, file = "text_encoder/config.json"): ClipConfig {
  const f = new Fields(json, file);
  const name = String(f.raw("hidden_act") ?? "quick_gelu");
  const act = acts[name];
  if (!act) throw new UnsupportedError(`${file}: hidden_act is ${name}, expected ${Object.keys(acts).join(", ")}`);
  const projected = f.strings("architectures", []).includes("CLIPTextModelWithProjection");
  const endToken = f.number("eos_token_id", largestIdEnds);
  return {
    vocabulary: f.count("vocab_size", 49408),
    width: f.count("hidden_size", 512),
    layers: f.count("num_hidden_layers", 12),
    heads: f.count("num_attention_heads", 8),
    mlpWidth: f.count("intermediate_size", 2048),
    positions: f.count("max_position_embeddings", 77),
    act,
    eps: f.number("layer_norm_eps", 1e-5),
    ...(projected ? { projection: f.count("projection_dim", 512) } : {}),
    ...(endToken === largestIdEnds ? {} : { endToken }),
  };
}

/**
 * Token ids [N, T] (u32) to hidden states [N, T, width]. `w` is the checkpoint's `text_model`. The attention is causal;
 * padding is attended like any token, as in the reference.
 */
export function clipText(
  w: Scope,
  ids: Tensor,
  config: ClipConfig,
): {
  /** The embedding, then the output of each layer. */ hiddenStates: Tensor[];
  /** The last layer's output after the final norm, [N, T, width]. */
  last: Tensor;
  /** The model's final norm, for outputs of other layers. */
  finalNorm(x: Tensor): Tensor;
} {
  const { vocabulary, width, positions, layers, eps } = config;
  const embeddings = w.at("embeddings");
  const tokens = embeddings.at("token_embedding").matrix("weight", [vocabulary, width]);
  const position = embeddings.at("position_embedding").matrix("weight", [positions, width]);
  let h = embedding(ids, tokens, position);
  const hiddenStates = [h];
  for (let i = 0; i < layers; i++) {
    h = layer(w.at("encoder.layers", i), h, config);
    hiddenStates.push(h);
  }
  const finalNorm = (x: Tensor) => layerNorm(x, w.at("final_layer_norm"), { eps });
  return { hiddenStates, last: finalNorm(h), finalNorm };
}

/**
 * States [N, 1, width] at the end tokens, of `last` [N, T, width]. `ends` [N, 1] (u32) holds the rows of the end tokens among
 * all N * T: see `endRows`.
 */
export function endStates(last: Tensor, ends: Tensor): Tensor {
  const [n, length, width] = last.shape as [number, number, number];
  return embedding(ends, reshape(last, [n * length, width]));
}

/**
 * What CLIP compares with pictures, [N, 1, projection]: the end token's state through `text_projection`. `w` is the root of
 * the checkpoint's names. Retrieval-augmented models take it as their context, `normalize`d to length 1 (Blattmann et al.
 * 2022, FrozenCLIPTextEmbedder).
 */
export function clipEmbedding(
  w: Scope,
  last: Tensor,
  ends: Tensor,
  { projection }: ClipConfig,
  { normalize = false }: { readonly normalize?: boolean } = {},
): Tensor {
  invariant(
    projection,
    "clip: the configuration names no CLIPTextModelWithProjection, there is no projection to apply",
  );
  const embeds = linear(endStates(last, ends), w.at("text_projection"), { out: projection, bias: false });
  return normalize ? l2Normalize(embeds) : embeds;
}

function layer(w: Scope, x: Tensor, { width, heads, mlpWidth, act, eps }: ClipConfig): Tensor {
  const self = w.at("self_attn");
  const normed = layerNorm(x, w.at("layer_norm1"), { eps });
  const q = linear(normed, self.at("q_proj"), { out: width });
  const k = linear(normed, self.at("k_proj"), { out: width });
  const v = linear(normed, self.at("v_proj"), { out: width });
  const h = linear(attention(q, k, v, { heads, causal: true }), self.at("out_proj"), { out: width, residual: x });
  const mlp = linear(layerNorm(h, w.at("layer_norm2"), { eps }), w.at("mlp.fc1"), { out: mlpWidth, act });
  return linear(mlp, w.at("mlp.fc2"), { out: width, residual: h });
}
