import { describe, expect, it } from "vitest";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { classEmbedding, parseClassEmbedderConfig } from "../../src/models/classEmbedder.js";
import { clipEmbedding, endStates, parseClipConfig } from "../../src/models/clip.js";
import {
  parseSpatialRescalerConfig,
  rescaledSide,
  type SpatialRescalerConfig,
  spatialRescaler,
} from "../../src/models/spatialRescaler.js";
import { type Bench, expectClose, forCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "../ops/reference.js";

forCases(
  "class embedder",
  [
    { classes: 11, width: 24, labels: [3, 10] },
    { classes: 2, width: 7, labels: [1, 0, 1] },
  ],
  (c) => `${c.classes} classes of ${c.width} channels`,
  async ({ device, dtype, item }) => {
    const { width, labels } = item;
    const table = random("table", [item.classes, width], { dtype });
    const shapes: (readonly number[])[] = [];
    const [y] = await runGraph(device, dtype, (bench) => {
      bench.scope("embedding", { weight: table });
      const context = classEmbedding(new Scope(bench.graph), bench.integers([labels.length, 1], labels), item);
      shapes.push(context.shape);
      return context;
    });
    expect(shapes).toEqual([[labels.length, 1, width]]);
    expect([...y!]).toEqual(labels.flatMap((label) => [...table.values.slice(label * width, (label + 1) * width)]));
  },
);

/** Those that compile fast on a CPU; the ops' own tests cover the others. */
const forms = { software: true };

const rescalings: readonly (Partial<SpatialRescalerConfig> & { readonly size: readonly [number, number] })[] = [
  { size: [16, 24], stages: 2, inChannels: 182, outChannels: 3 },
  { size: [13, 9], stages: 2, inChannels: 8, outChannels: 5, bias: true },
  { size: [12, 10], stages: 1, inChannels: 3, outChannels: undefined },
  { size: [11, 7], stages: 1, inChannels: 4, outChannels: 2, method: "nearest" },
  { size: [9, 12], stages: 1, inChannels: 3, outChannels: undefined, multiplier: 1 / 3, method: "nearest" },
  { size: [6, 5], stages: 0, inChannels: 4, outChannels: 8 },
];

forCases(
  "spatial rescaler",
  rescalings,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { size, ...given } = item;
    const config = { ...parseSpatialRescalerConfig({}), ...given };
    const { stages, method, multiplier, inChannels, outChannels, bias } = config;
    const map = random("map", [2, ...size, inChannels], { dtype });
    const weight = random("weight", [outChannels ?? 1, inChannels, 1, 1], { dtype, scale: inChannels ** -0.5 });
    const shift = random("bias", [outChannels ?? 1]);
    let expected: reference.Numbers = map;
    for (let stage = 0; stage < stages; stage++) {
      const [, height, width] = expected.shape as [number, number, number, number];
      const next = [Math.floor(height * multiplier), Math.floor(width * multiplier)] as const;
      expected =
        method === "bilinear"
          ? reference.resizeBilinear(expected, next, multiplier)
          : reference.resizeNearest(expected, next);
    }
    if (outChannels) {
      const matrix = { shape: [outChannels, inChannels], values: weight.values };
      expected = reference.linear(expected, matrix, { bias: bias ? shift : undefined });
    }
    const shapes: (readonly number[])[] = [];
    const [y] = await runGraph(
      device,
      dtype,
      (bench: Bench) => {
        bench.scope("channel_mapper", { weight, bias: shift });
        const small = spatialRescaler(new Scope(bench.graph), bench.input(map), config);
        shapes.push(small.shape);
        return small;
      },
      forms,
    );
    expect(shapes).toEqual([expected.shape]);
    expect([rescaledSide(size[0], config), rescaledSide(size[1], config)]).toEqual(expected.shape.slice(1, 3));
    expectClose(y!, expected.values, 10 * tolerance[dtype]);
  },
);

forCases(
  "CLIP's embedding",
  [false, true],
  (normalize) => (normalize ? "of length 1" : "as projected"),
  async ({ device, dtype, item: normalize }) => {
    const last = random("last", [3, 5, 12], { dtype });
    const weight = random("weight", [8, 12], { dtype, scale: 12 ** -0.5 });
    const rows = [4, 5, 12];
    const states = rows.flatMap((row) => [...last.values.slice(row * 12, (row + 1) * 12)]);
    const config = { ...parseClipConfig({ architectures: ["CLIPTextModelWithProjection"], projection_dim: 8 }) };
    const [picked, y] = await runGraph(
      device,
      dtype,
      (bench: Bench) => {
        bench.scope("text_projection", { weight });
        const [at, input] = [bench.integers([3, 1], rows), bench.input(last)];
        return [endStates(input, at), clipEmbedding(new Scope(bench.graph), input, at, config, { normalize })];
      },
      forms,
    );
    expect([...picked!]).toEqual(states);
    const { values } = reference.linear({ shape: [3, 1, 12], values: states }, weight);
    const length = (row: number) => (normalize ? Math.hypot(...values.subarray(row * 8, (row + 1) * 8)) : 1);
    expectClose(
      y!,
      Array.from(values, (value, i) => value / length(Math.floor(i / 8))),
      tolerance[dtype],
    );
  },
);

describe("configurations", () => {
  it("of class embedders", () => {
    expect(parseClassEmbedderConfig({ embed_dim: 512, n_classes: 1001, key: "class_label" })).toEqual({
      classes: 1001,
      width: 512,
    });
    expect(() => parseClassEmbedderConfig({ n_classes: 5 })).toThrow("cond_stage_config: embed_dim is undefined");
  });

  it("of rescalers", () => {
    expect(parseSpatialRescalerConfig({ n_stages: 2, in_channels: 182, out_channels: 3 })).toEqual({
      stages: 2,
      method: "bilinear",
      multiplier: 0.5,
      inChannels: 182,
      outChannels: 3,
      bias: false,
    });
    expect(parseSpatialRescalerConfig({ out_channels: null }).outChannels).toBeUndefined();
    expect(() => parseSpatialRescalerConfig({ method: "bicubic" })).toThrow("method is bicubic, expected bilinear or");
    expect(() => parseSpatialRescalerConfig({ n_stages: -1 })).toThrow("n_stages is -1, expected 0, 1, 2, ...");
    expect(() => parseSpatialRescalerConfig({ multiplier: 0 })).toThrow("multiplier is 0, expected a number above 0");
  });

  it("of CLIP: where a prompt ends, and whether there is a projection", () => {
    expect(parseClipConfig({ eos_token_id: 2, projection_dim: 512 })).not.toHaveProperty("endToken");
    expect(parseClipConfig({ eos_token_id: 2, projection_dim: 512 })).not.toHaveProperty("projection");
    expect(parseClipConfig({ eos_token_id: 49407 }).endToken).toBe(49407);
    const graph = new Graph({ dtype: "f32" });
    const [last, at] = [graph.input("x", [1, 2, 3], "f32", "prompt"), graph.input("e", [1, 1], "u32", "prompt")];
    expect(() => clipEmbedding(new Scope(graph), last, at, parseClipConfig({}))).toThrow("there is no projection");
  });
});

describe("a rescaler refuses", () => {
  const run = (shape: readonly number[], given: Partial<SpatialRescalerConfig>) => () => {
    const graph = new Graph({ dtype: "f32" });
    const config = { ...parseSpatialRescalerConfig({}), ...given };
    spatialRescaler(new Scope(graph), graph.input("map", shape, "f32", "prompt"), config);
  };

  it("maps of other channels, maps of which nothing is left, remainders that nearest would place otherwise", () => {
    expect(run([1, 4, 4, 2], {})).toThrow("the map is [1, 4, 4, 2], expected [N, H, W, 3]");
    expect(run([1, 3, 4, 3], { stages: 2 })).toThrow("nothing is left of a map of 3 x 4 at stage 2 of 2");
    expect(run([1, 8, 9, 3], { method: "nearest", multiplier: 1 / 3 })).toThrow("of 8 x 9 leaves a remainder");
  });
});
