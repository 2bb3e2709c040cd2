// Parts of the UNets for which the reference data has no model, or only small and even sizes, against float64 loops.
import type { DType } from "../../src/core/dtype.js";
import { type Shape, sizeOf } from "../../src/core/shape.js";
import type { Device } from "../../src/gpu/device.js";
import type { Tensor } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { attentionBlock } from "../../src/models/attentionBlock.js";
import { embedLabels, type LabelEmbedding } from "../../src/models/labelEmbedding.js";
import { type ResBlockOptions, resBlock } from "../../src/models/resBlock.js";
import { spatialTransformer } from "../../src/models/transformer.js";
import { type Bench, type Data, expectClose, forCases, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "../ops/reference.js";

/** The weight of a name in every test: matrices by their fan-in, norms about 1. */
function weight(name: string, shape: Shape, dtype: DType): Data {
  if (shape.length === 1) return random(name, shape, { scale: 0.2, mean: /norm\d?\.weight$/.test(name) ? 1 : 0 });
  return random(name, shape, { dtype, scale: (sizeOf(shape) / shape[0]!) ** -0.5 });
}

/** Gives the program all weights that it asks for. */
function fill(bench: Bench): void {
  for (const { name, shape, dtype } of bench.graph.requests()) bench.weights.set(name, weight(name, shape, dtype));
}

/** With the forms for CPUs, which these adapters compile fast; that all forms agree is for the tests of the ops. */
const run = (device: Device, dtype: DType, build: (bench: Bench) => Tensor) =>
  runGraph(device, dtype, build, { software: true });

const settings = { groups: 4, eps: 1e-5 };

interface ResCase {
  readonly x: Shape;
  readonly out: number;
  readonly scaleShift?: boolean;
  readonly resample?: NonNullable<ResBlockOptions["resample"]>;
}

const resCases: readonly ResCase[] = [
  { x: [2, 5, 7, 16], out: 24, scaleShift: true },
  { x: [2, 5, 7, 16], out: 16, scaleShift: true, resample: "half" },
  { x: [1, 6, 4, 8], out: 12, resample: "half" },
  { x: [3, 3, 2, 12], out: 12, resample: [5, 4] },
  { x: [2, 2, 3, 8], out: 20, scaleShift: true, resample: [4, 6] },
];

const tembWidth = 20;

forCases(
  "resBlock",
  resCases,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { x: shape, out, scaleShift = false, resample } = item;
    const x = random("x", shape, { dtype });
    const temb = random("temb", [shape[0]!, tembWidth], { dtype });
    const [y] = await run(device, dtype, (bench) => {
      const options = { ...settings, out, scaleShift, temb: bench.input(temb), ...(resample && { resample }) };
      const result = resBlock(new Scope(bench.graph, "block"), bench.input(x), options);
      fill(bench);
      return result;
    });

    const w = (name: string, of: Shape) => weight(`block.${name}`, of, dtype);
    const norm = (name: string, c: number) => ({ weight: w(`${name}.weight`, [c]), bias: w(`${name}.bias`, [c]) });
    const conv = (name: string, o: number, i: number, k: number) =>
      [w(`${name}.weight`, [o, i, k, k]), { bias: w(`${name}.bias`, [o]) }] as const;
    const resized = (image: reference.Numbers) => {
      if (!resample) return image;
      return resample === "half" ? reference.averagePool(image) : reference.resizeNearest(image, resample);
    };
    const channels = shape[3]!;
    const wide = scaleShift ? 2 * out : out;
    const time = reference.linear(temb, w("time_emb_proj.weight", [wide, tembWidth]), {
      actIn: "silu",
      bias: w("time_emb_proj.bias", [wide]),
    });
    const a = reference.groupNorm(x, { ...settings, ...norm("norm1", channels), act: "silu" });
    const [kernel1, epilogue1] = conv("conv1", out, channels, 3);
    const h = reference.conv2d(resized(a), kernel1, { ...epilogue1, ...(scaleShift ? {} : { channelBias: time }) });
    const b = reference.groupNorm(h, {
      ...settings,
      ...norm("norm2", out),
      act: "silu",
      modulation: scaleShift ? time : undefined,
    });
    const short =
      channels === out ? resized(x) : reference.conv2d(resized(x), ...conv("conv_shortcut", out, channels, 1));
    const [kernel2, epilogue2] = conv("conv2", out, out, 3);
    const expected = reference.conv2d(b, kernel2, { ...epilogue2, residual: short });
    expectClose(y!, expected.values, 4 * tolerance[dtype]);
  },
);

interface LabelCase {
  readonly kind: LabelEmbedding;
  readonly n: number;
}

const labelCases: readonly LabelCase[] = [
  { kind: { kind: "table", classes: 7 }, n: 3 },
  { kind: { kind: "timestep" }, n: 2 },
  { kind: { kind: "identity" }, n: 2 },
  { kind: { kind: "projection", inputs: 5 }, n: 3 },
  { kind: { kind: "simple_projection", inputs: 1 }, n: 3 },
  { kind: { kind: "simple_projection", inputs: 6 }, n: 1 },
];

const width = 24;
const waves = { channels: 8, cosineFirst: false, frequencyShift: 1 };

function labelData({ kind, n }: LabelCase, dtype: DType): Data {
  if (kind.kind === "table") return { shape: [n], values: Float32Array.from({ length: n }, (_, i) => (i * 3 + 6) % 7) };
  if (kind.kind === "timestep")
    return { shape: [n], values: Float32Array.from({ length: n }, (_, i) => 20.5 + 300 * i) };
  // As precise as the network's numbers: what is rounded first is no matter of this test.
  return random("labels", [n, "inputs" in kind ? kind.inputs : width], { dtype });
}

function expectedEmbedding({ kind, n }: LabelCase, labels: Data, dtype: DType): reference.Numbers {
  const w = (name: string, shape: Shape) => weight(`class.${name}`, shape, dtype);
  const dense = (x: reference.Numbers, name: string, act: "silu" | "none" = "none") =>
    reference.linear(x, w(`${name}weight`, [width, x.shape[1]!]), { bias: w(`${name}bias`, [width]), act });
  const twice = (x: reference.Numbers) => dense(dense(x, "linear_1.", "silu"), "linear_2.");
  switch (kind.kind) {
    case "table": {
      const table = w("weight", [kind.classes, width]).values;
      const rows = [...labels.values].flatMap((id) => [...table.slice(id * width, (id + 1) * width)]);
      return { shape: [n, width], values: Float64Array.from(rows) };
    }
    case "timestep": {
      const half = waves.channels / 2;
      const angles = (t: number) => Array.from({ length: half }, (_, i) => t * 10000 ** (-i / (half - 1)));
      const rows = [...labels.values].flatMap((t) => [...angles(t).map(Math.sin), ...angles(t).map(Math.cos)]);
      return twice({ shape: [n, waves.channels], values: Float64Array.from(rows) });
    }
    case "identity":
      return labels;
    case "projection":
      return twice(labels);
    case "simple_projection":
      return dense(labels, "");
  }
}

forCases(
  "embedLabels",
  labelCases,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const labels = labelData(item, dtype);
    const [y] = await run(device, dtype, (bench) => {
      const table = item.kind.kind === "table";
      const input = table ? bench.integers(labels.shape, labels.values) : bench.input(labels, "f32");
      const result = embedLabels(new Scope(bench.graph, "class"), input, item.kind, width, waves);
      fill(bench);
      return result;
    });
    expectClose(y!, expectedEmbedding(item, labels, dtype).values, 4 * tolerance[dtype]);
  },
);

const attentions = [
  { x: [2, 3, 5, 16], heads: 4, groups: 4 },
  { x: [1, 4, 4, 24], heads: 1, groups: 3 },
  { x: [2, 2, 3, 16], heads: 2, groups: undefined },
] as const;

forCases(
  "attentionBlock",
  attentions,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { x: shape, heads, groups } = item;
    const [n, h, across, c] = shape;
    const x = random("x", shape, { dtype });
    const [y] = await run(device, dtype, (bench) => {
      const options = { heads, eps: 1e-5, ...(groups && { groups }) };
      const result = attentionBlock(new Scope(bench.graph, "attn"), bench.input(x), options);
      fill(bench);
      return result;
    });
    const w = (name: string, of: Shape) => weight(`attn.${name}`, of, dtype);
    const norm = { weight: w("group_norm.weight", [c]), bias: w("group_norm.bias", [c]), eps: 1e-5 };
    const normed = groups ? reference.groupNorm(x, { ...norm, groups }) : x;
    const tokens = { shape: [n, h * across, c], values: normed.values };
    const dense = (from: reference.Numbers, name: string, residual?: reference.Numbers) =>
      reference.linear(from, w(`${name}.weight`, [c, c]), { bias: w(`${name}.bias`, [c]), residual });
    const [q, k, v] = ["to_q", "to_k", "to_v"].map((name) => dense(tokens, name));
    const expected = dense(reference.attention(q!, k!, v!, { heads }), "to_out.0", x);
    expectClose(y!, expected.values, 4 * tolerance[dtype]);
  },
);

const contexts = [
  { x: [2, 3, 5, 16], tokens: 7, contextWidth: 12, onlyContext: true },
  { x: [1, 4, 4, 16], tokens: 1, contextWidth: 20, onlyContext: false },
] as const;

forCases(
  "spatialTransformer",
  contexts,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { x: shape, tokens, contextWidth, onlyContext } = item;
    const [n, height, across, c] = shape;
    const heads = 2;
    const x = random("x", shape, { dtype });
    const context = random("context", [n, tokens, contextWidth], { dtype });
    const [y] = await run(device, dtype, (bench) => {
      const options = { heads, depth: 1, groups: 4, linearProjection: true, onlyContext };
      const result = spatialTransformer(new Scope(bench.graph, "t"), bench.input(x), bench.input(context), options);
      fill(bench);
      return result;
    });
    const w = (name: string, of: Shape) => weight(`t.${name}`, of, dtype);
    const norm = (name: string) => ({ weight: w(`${name}.weight`, [c]), bias: w(`${name}.bias`, [c]) });
    const dense = (from: reference.Numbers, name: string, out: number, bias: boolean, residual?: reference.Numbers) =>
      reference.linear(from, w(`${name}.weight`, [out, from.shape[2]!]), {
        bias: bias ? w(`${name}.bias`, [out]) : undefined,
        residual,
      });
    const block = "transformer_blocks.0";
    const attend = (from: reference.Numbers, to: reference.Numbers, name: string, residual: reference.Numbers) => {
      const [q, k, v] = [
        dense(from, `${block}.${name}.to_q`, c, false),
        dense(to, `${block}.${name}.to_k`, c, false),
        dense(to, `${block}.${name}.to_v`, c, false),
      ];
      return dense(reference.attention(q!, k!, v!, { heads }), `${block}.${name}.to_out.0`, c, true, residual);
    };
    const layer = (from: reference.Numbers, name: string) => reference.layerNorm(from, norm(`${block}.${name}`));
    const { values } = reference.groupNorm(x, { ...norm("norm"), groups: 4, eps: 1e-6 });
    const h = dense({ shape: [n, height * across, c], values }, "proj_in", c, true);
    const first = layer(h, "norm1");
    const a = attend(first, onlyContext ? context : first, "attn1", h);
    const b = attend(layer(a, "norm2"), context, "attn2", a);
    const wide = reference.gated(dense(layer(b, "norm3"), `${block}.ff.net.0.proj`, 8 * c, true), "gelu");
    const expected = dense(dense(wide, `${block}.ff.net.2`, c, true, b), "proj_out", c, true, x);
    expectClose(y!, expected.values, 10 * tolerance[dtype]);
  },
);
