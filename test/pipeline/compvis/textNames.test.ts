import { describe, expect, it } from "vitest";
import { bertNames, clipNames, openClipNames } from "../../../src/pipeline/compvis/textNames.js";
import { fromBytes } from "../../../src/weights/byteSource.js";
import type { StoredTensor } from "../../../src/weights/safetensors.js";
import { unread } from "./original.js";

/** Tensors of these shapes, byte tensors so that the bytes count rows and columns. */
function stored(shapes: Readonly<Record<string, readonly number[]>>): Map<string, StoredTensor> {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const source = fromBytes(Uint8Array.from({ length: size }, (_, i) => i));
      return [name, { name, dtype: "U8", shape, source, begin: 0, end: size }];
    }),
  );
}

const read = async (tensor: StoredTensor | undefined) =>
  [...(await tensor!.source.read(tensor!.begin, tensor!.end))] as number[];

/** Shapes by name. */
const shapesOf = (tensors: ReadonlyMap<string, StoredTensor>) =>
  Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]));

const norm = (name: string, width: number) => ({ [`${name}.weight`]: [width], [`${name}.bias`]: [width] });
const affine = (name: string, out: number, inner: number) => ({
  [`${name}.weight`]: [out, inner],
  [`${name}.bias`]: [out],
});

describe("names of BERTEmbedder", () => {
  const [width, inner] = [6, 128];
  const layer = (i: number) => {
    const [attention, feed] = [0, 1].map((k) => `transformer.attn_layers.layers.${2 * i + k}`) as [string, string];
    return {
      ...norm(`${attention}.0`, width),
      [`${attention}.1.to_q.weight`]: [inner, width],
      [`${attention}.1.to_k.weight`]: [inner, width],
      [`${attention}.1.to_v.weight`]: [inner, width],
      ...affine(`${attention}.1.to_out`, width, inner),
      ...norm(`${feed}.0`, width),
      ...affine(`${feed}.1.net.0.0`, 24, width),
      ...affine(`${feed}.1.net.2`, width, 24),
    };
  };
  const original = {
    "transformer.token_emb.weight": [11, width],
    "transformer.pos_emb.emb.weight": [5, width],
    ...layer(0),
    ...layer(1),
    ...norm("transformer.norm", width),
    ...affine("transformer.to_logits", 11, width),
  };

  it("become those of LDMBertModel, and the configuration follows from the shapes", () => {
    const { config, tensors } = bertNames(stored(original));
    const canonical = (i: number) => ({
      ...norm(`model.layers.${i}.self_attn_layer_norm`, width),
      [`model.layers.${i}.self_attn.q_proj.weight`]: [inner, width],
      [`model.layers.${i}.self_attn.k_proj.weight`]: [inner, width],
      [`model.layers.${i}.self_attn.v_proj.weight`]: [inner, width],
      ...affine(`model.layers.${i}.self_attn.out_proj`, width, inner),
      ...norm(`model.layers.${i}.final_layer_norm`, width),
      ...affine(`model.layers.${i}.fc1`, 24, width),
      ...affine(`model.layers.${i}.fc2`, width, 24),
    });
    expect(shapesOf(tensors)).toEqual({
      "model.embed_tokens.weight": [11, width],
      "model.embed_positions.weight": [5, width],
      ...canonical(0),
      ...canonical(1),
      ...norm("model.layer_norm", width),
    });
    for (const [name, tensor] of tensors) expect(tensor.name).toBe(name);
    expect(config).toMatchObject({
      vocab_size: 11,
      max_position_embeddings: 5,
      d_model: 6,
      encoder_layers: 2,
      encoder_ffn_dim: 24,
      encoder_attention_heads: 2,
      head_dim: 64,
      activation_function: "gelu",
    });
  });

  it("that are unknown stay, so that the loader names them", () => {
    const extra = {
      ...original,
      "transformer.project_emb.weight": [6, 6],
      "transformer.attn_layers.layers.0.9.weight": [1],
    };
    const names = [...bertNames(stored(extra)).tensors.keys()];
    expect(names).toContain("transformer.project_emb.weight");
    expect(names).toContain("transformer.attn_layers.layers.0.9.weight");
  });

  it("must be there, in shapes that make sense", () => {
    expect(() => bertNames(stored({}))).toThrow("text encoder: model.embed_tokens.weight is missing");
    const odd = { ...original, "transformer.attn_layers.layers.0.1.to_q.weight": [100, width] };
    expect(() => bertNames(stored(odd))).toThrow("text encoder: 100 channels do not split into heads of 64");
    const flat = { ...original, "transformer.token_emb.weight": [11] };
    expect(() => bertNames(stored(flat))).toThrow("model.embed_tokens.weight has shape [11], expected a matrix");
  });
});

describe("names of OpenCLIP", () => {
  const width = 2;
  const block = (i: number) => {
    const at = `model.transformer.resblocks.${i}`;
    return {
      ...norm(`${at}.ln_1`, width),
      ...norm(`${at}.ln_2`, width),
      [`${at}.attn.in_proj_weight`]: [3 * width, width],
      [`${at}.attn.in_proj_bias`]: [3 * width],
      ...affine(`${at}.attn.out_proj`, width, width),
      ...affine(`${at}.mlp.c_fc`, 8, width),
      ...affine(`${at}.mlp.c_proj`, width, 8),
    };
  };
  const original = {
    "model.positional_embedding": [4, width],
    "model.text_projection": [width, 3],
    "model.logit_scale": [],
    "model.attn_mask": [4, 4],
    "model.visual.conv1.weight": [1, 1],
    "model.token_embedding.weight": [9, width],
    ...block(0),
    ...block(1),
    ...norm("model.ln_final", width),
  };
  const layer = (i: number) => {
    const at = `text_model.encoder.layers.${i}`;
    return {
      ...norm(`${at}.layer_norm1`, width),
      ...norm(`${at}.layer_norm2`, width),
      ...Object.assign({}, ...["q", "k", "v", "out"].map((p) => affine(`${at}.self_attn.${p}_proj`, width, width))),
      ...affine(`${at}.mlp.fc1`, 8, width),
      ...affine(`${at}.mlp.fc2`, width, 8),
    };
  };
  const shared = {
    "text_model.embeddings.token_embedding.weight": [9, width],
    "text_model.embeddings.position_embedding.weight": [4, width],
    ...norm("text_model.final_layer_norm", width),
  };

  it("become those of CLIPTextModelWithProjection", async () => {
    const { config, tensors } = openClipNames(stored(original), { penultimate: false, heads: 1 });
    expect(shapesOf(tensors)).toEqual({ ...shared, ...layer(0), ...layer(1), "text_projection.weight": [3, width] });
    for (const [name, tensor] of tensors) expect(tensor.name).toBe(name);
    expect(config).toMatchObject({
      architectures: ["CLIPTextModelWithProjection"],
      vocab_size: 9,
      hidden_size: 2,
      intermediate_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 1,
      max_position_embeddings: 4,
      hidden_act: "gelu",
      projection_dim: 3,
    });
    const attention = "text_model.encoder.layers.1.self_attn";
    expect(await read(tensors.get(`${attention}.q_proj.weight`))).toEqual([0, 1, 2, 3]);
    expect(await read(tensors.get(`${attention}.k_proj.weight`))).toEqual([4, 5, 6, 7]);
    expect(await read(tensors.get(`${attention}.v_proj.weight`))).toEqual([8, 9, 10, 11]);
    expect(await read(tensors.get(`${attention}.v_proj.bias`))).toEqual([4, 5]);
    expect(await read(tensors.get("text_projection.weight"))).toEqual([0, 3, 1, 4, 2, 5]);
  });

  it("lose the last block and the projection where the last block but one is asked for", () => {
    const { config, tensors } = openClipNames(stored(original), { penultimate: true, heads: 1, act: "quick_gelu" });
    expect(shapesOf(tensors)).toEqual({ ...shared, ...layer(0) });
    expect(config).toMatchObject({
      architectures: ["CLIPTextModel"],
      num_hidden_layers: 1,
      hidden_act: "quick_gelu",
    });
    expect(config).not.toHaveProperty("projection_dim");
  });

  it.each([24, 23])("of Stable Diffusion 2 become 23 layers, from files of %s blocks", (blocks) => {
    const of = (i: number) => {
      const at = `model.transformer.resblocks.${i}`;
      return [`${at}.attn.in_proj_weight`, `${at}.mlp.c_fc.weight`].map((name) => [name, [3072, 1024]] as const);
    };
    const shapes = new Map<string, readonly number[]>([
      ["model.token_embedding.weight", [49408, 1024]],
      ["model.positional_embedding", [77, 1024]],
      ...Array.from({ length: blocks }, (_, i) => of(i)).flat(),
    ]);
    const { config, tensors } = openClipNames(unread(shapes), { penultimate: true });
    expect(config["num_hidden_layers"]).toBe(23);
    expect(tensors.has("text_model.encoder.layers.22.mlp.fc1.weight")).toBe(true);
    expect(tensors.has("text_model.encoder.layers.23.mlp.fc1.weight")).toBe(false);
  });

  it("go without the prefix too, and unknown ones stay", () => {
    const bare = Object.fromEntries(Object.entries(original).map(([name, shape]) => [name.slice(6), shape]));
    const { tensors } = openClipNames(stored({ ...bare, "adapter.weight": [1] }), { penultimate: true, heads: 1 });
    expect(shapesOf(tensors)).toEqual({ ...shared, ...layer(0), "adapter.weight": [1] });
  });

  it("take heads of 64 channels, and refuse packed projections of another height", () => {
    expect(() => openClipNames(stored(original), { penultimate: false })).toThrow("2 channels do not split into heads");
    const odd = { ...original, "model.transformer.resblocks.0.attn.in_proj_bias": [5] };
    expect(() => openClipNames(stored(odd), { penultimate: false, heads: 1 })).toThrow(
      "model.transformer.resblocks.0.attn.in_proj_bias: 5 rows, expected 6",
    );
  });
});

describe("names of FrozenCLIPEmbedder", () => {
  const inner = {
    "embeddings.token_embedding.weight": [9, 128],
    "embeddings.position_embedding.weight": [4, 128],
    "encoder.layers.0.mlp.fc1.weight": [256, 128],
    "encoder.layers.1.mlp.fc1.weight": [256, 128],
    "final_layer_norm.weight": [128],
  };
  const under = (prefix: string) =>
    stored(Object.fromEntries(Object.entries(inner).map(([name, shape]) => [prefix + name, shape])));

  it.each(["transformer.text_model.", "transformer."])("lose %s, and what no model has", (prefix) => {
    const tensors = under(prefix);
    const ids = `${prefix}embeddings.position_ids`;
    tensors.set(ids, stored({ [ids]: [1, 4] }).get(ids)!);
    tensors.set("text_projection", stored({ text_projection: [128, 128] }).get("text_projection")!);
    const part = clipNames(tensors);
    expect(shapesOf(part.tensors)).toEqual(shapesOf(under("text_model.")));
    expect(part.config).toMatchObject({
      vocab_size: 9,
      hidden_size: 128,
      intermediate_size: 256,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      max_position_embeddings: 4,
      hidden_act: "quick_gelu",
    });
  });
});
