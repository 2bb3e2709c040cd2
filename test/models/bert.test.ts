import { describe, expect, it } from "vitest";
import { sizeOf } from "../../src/core/shape.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { bertText, parseBertConfig } from "../../src/models/bert.js";
import { type Bench, type Data, expectClose, forCases, random, runGraph, tolerance, uniform } from "../harness/gpu.js";
import * as reference from "../ops/reference.js";

const published = (config: Record<string, unknown>) => {
  const graph = new Graph({ dtype: "f16", maxBinding: Number.POSITIVE_INFINITY });
  const parsed = parseBertConfig(config);
  bertText(new Scope(graph), graph.input("ids", [1, parsed.positions], "u32", "prompt"), parsed);
  const requests = graph.requests();
  return [requests.length, requests.reduce((sum, { shape }) => sum + sizeOf(shape), 0)];
};

describe("the text transformer of latent diffusion", () => {
  // Tensors and parameters of the original modules, less those of the unused `to_logits` (weight and bias).
  it("asks for what txt2img-1p4B has", () => {
    expect(published({})).toEqual([422 - 2, 581_994_042 - 30522 * (1280 + 1)]);
  });

  it("asks for what the layout model has", () => {
    const config = {
      vocab_size: 8192,
      max_position_embeddings: 92,
      d_model: 512,
      encoder_layers: 16,
      encoder_ffn_dim: 2048,
    };
    expect(published(config)).toEqual([214 - 2, 58_858_496 - 8192 * (512 + 1)]);
  });

  it("names what does not fit", () => {
    expect(() => parseBertConfig({ d_model: 0 })).toThrow(
      "bert/config.json: d_model is 0, expected a positive integer",
    );
    expect(() => parseBertConfig({ activation_function: "relu" })).toThrow(
      "activation_function is relu, expected gelu",
    );
    const graph = new Graph({ dtype: "f32" });
    const ids = graph.input("ids", [1, 78], "u32", "prompt");
    expect(() => bertText(new Scope(graph), ids, parseBertConfig({}))).toThrow("expected [N, T] with T at most 77");
  });
});

const cases = [
  // Heads that are together wider than the model, and narrower; a window that is not full; odd sizes.
  { vocabulary: 50, positions: 9, width: 24, layers: 2, heads: 2, headSize: 16, mlpWidth: 40, batch: 2, length: 9 },
  { vocabulary: 30, positions: 12, width: 20, layers: 1, heads: 3, headSize: 4, mlpWidth: 28, batch: 1, length: 7 },
];

forCases(
  "text transformer",
  cases,
  (c) => `${c.layers} layers of ${c.width} channels, ${c.heads} heads of ${c.headSize}`,
  async ({ device, dtype, item }) => {
    const { vocabulary, positions, width, layers, heads, headSize, mlpWidth, batch, length } = item;
    const weights: Record<string, Data> = {};
    const add = (name: string, shape: readonly number[], options: { scale: number; mean?: number }) => {
      const type = shape.length === 1 ? "f32" : dtype;
      weights[name] = random(name, shape, { dtype: type, ...options });
      return weights[name];
    };
    const norm = (name: string) => ({
      weight: add(`${name}.weight`, [width], { scale: 0.2, mean: 1 }),
      bias: add(`${name}.bias`, [width], { scale: 0.2 }),
    });
    const matrix = (name: string, out: number, inner: number) =>
      add(`${name}.weight`, [out, inner], { scale: inner ** -0.5 });
    const bias = (name: string, out: number) => add(`${name}.bias`, [out], { scale: 0.2 });

    const next = uniform(5);
    const ids = Array.from({ length: batch * length }, () => Math.floor(next() * vocabulary));
    const tokens = add("model.embed_tokens.weight", [vocabulary, width], { scale: 1 });
    const places = add("model.embed_positions.weight", [positions, width], { scale: 1 });
    const embedded = ids.flatMap((id, row) =>
      Array.from(
        { length: width },
        (_, c) => tokens.values[id * width + c]! + places.values[(row % length) * width + c]!,
      ),
    );
    let h: reference.Numbers = { shape: [batch, length, width], values: embedded };
    for (let i = 0; i < layers; i++) {
      const at = `model.layers.${i}`;
      const self = `${at}.self_attn`;
      const a = reference.layerNorm(h, { ...norm(`${at}.self_attn_layer_norm`), eps: 1e-5 });
      const [q, k, v] = ["q", "k", "v"].map((p) =>
        reference.linear(a, matrix(`${self}.${p}_proj`, heads * headSize, width)),
      ) as [reference.Result, reference.Result, reference.Result];
      h = reference.linear(
        reference.attention(q, k, v, { heads }),
        matrix(`${self}.out_proj`, width, heads * headSize),
        { bias: bias(`${self}.out_proj`, width), residual: h },
      );
      const b = reference.layerNorm(h, { ...norm(`${at}.final_layer_norm`), eps: 1e-5 });
      const mlp = reference.linear(b, matrix(`${at}.fc1`, mlpWidth, width), {
        bias: bias(`${at}.fc1`, mlpWidth),
        act: "gelu",
      });
      h = reference.linear(mlp, matrix(`${at}.fc2`, width, mlpWidth), { bias: bias(`${at}.fc2`, width), residual: h });
    }
    const expected = reference.layerNorm(h, { ...norm("model.layer_norm"), eps: 1e-5 });

    const [y] = await runGraph(
      device,
      dtype,
      (bench: Bench) => {
        for (const [name, data] of Object.entries(weights)) bench.weights.set(name, data);
        return bertText(new Scope(bench.graph), bench.integers([batch, length], ids), item);
      },
      { software: true },
    ); // the forms that compile fast on a CPU
    expectClose(y!, expected.values, 20 * tolerance[dtype]); // a network, not one kernel
  },
);
