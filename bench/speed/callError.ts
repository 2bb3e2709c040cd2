// The error of one dispatch of a plan: a few of its outputs are worked out in float64 from what it really read.
import { dtypeBytes } from "../../src/core/dtype.js";
import { fromHalf } from "../../src/core/half.js";
import { readBuffer } from "../../src/gpu/readback.js";
import type { Call, Graph, Window } from "../../src/graph/graph.js";
import { type Activation, activations } from "../../src/ops/activation.js";
import type { Dispatch, Plan } from "../../src/plan/plan.js";
import { activate } from "../../test/ops/reference.js";
import { attentionRow, convAt, dotAt, momentsOf, relativeError, sampled, type Values } from "./float64.js";

/** Outputs that are worked out; of attention, each costs a look at all keys. */
const samples = 96;
const attentionSamples = 16;

/** Runs the dispatch and gives its relative error; undefined, and nothing is run, where the kernel has no reference. */
export async function callError(plan: Plan, dispatch: Dispatch): Promise<number | undefined> {
  const { call } = dispatch;
  const make = references[call.kernel.name];
  if (!make) return undefined;
  const operands: Record<string, Values> = {};
  for (const [i, window] of call.reads.entries()) {
    if (window) operands[call.kernel.reads[i]!] = await valuesOf(plan, sourceOf(plan.graph, window));
  }
  const at = make(call, operands);
  if (!at) return undefined;
  const encoder = plan.device.gpu.createCommandEncoder({ label: call.label });
  const pass = encoder.beginComputePass();
  pass.setPipeline(dispatch.pipeline);
  pass.setBindGroup(0, dispatch.group);
  pass.dispatchWorkgroups(...call.grid);
  pass.end();
  plan.device.gpu.queue.submit([encoder.finish()]);
  const [y] = call.writes;
  const result = await valuesOf(plan, y!);
  const places = sampled(y!.length, make === attention ? attentionSamples : samples);
  return relativeError(places.map(result), places.map(at));
}

/** A weight that was repacked when it was loaded is read as it was before. */
function sourceOf(graph: Graph, window: Window): Window {
  const writer = graph.calls.find((c) => c.phase === "load" && c.writes.some((w) => w.tensor.id === window.tensor.id));
  const [source] = writer?.reads ?? [];
  return source && graph.storage(source.tensor).kind === "weight" ? source : window;
}

async function valuesOf(plan: Plan, { tensor, offset, length }: Window): Promise<Values> {
  const size = dtypeBytes[tensor.dtype];
  const bytes = await readBuffer(plan.device, plan.buffer(tensor), offset * size, length * size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (tensor.dtype === "f16") return (i) => fromHalf(view.getUint16(2 * i, true));
  return tensor.dtype === "u32" ? (i) => view.getUint32(4 * i, true) : (i) => view.getFloat32(4 * i, true);
}

type Reference = (call: Call, operands: Readonly<Record<string, Values>>) => Values | undefined;

const names = Object.keys(activations) as Activation[];
const nameOf = (code: string | number | undefined): Activation => names.find((n) => activations[n] === code) ?? "none";

/**
 * What a product's end makes of its sums; options are constants of some forms and params of others, absent operands are
 * both's. Gated, the gates of `columns` values lie as many columns further on.
 */
function ended(
  { consts, params }: Call,
  o: Readonly<Record<string, Values>>,
  columns: number,
  sumOf: (row: number, column: number) => number,
  imageOf: (row: number) => number,
): Values {
  const act = nameOf(consts["ACT"] ?? params["act"]);
  const gated = (consts["GATED"] ?? params["gated"]) === 1;
  const biased = (row: number, column: number) => sumOf(row, column) + (o["bias"]?.(column) ?? 0);
  return (i) => {
    const [row, c] = [Math.floor(i / columns), i % columns];
    if (gated) return biased(row, c) * activate(act, biased(row, columns + c));
    const value = biased(row, c) + (o["channelBias"]?.(imageOf(row) * columns + c) ?? 0);
    return activate(act, value) + (o["residual"]?.(i) ?? 0);
  };
}

/** A share of a product, without its end: what it should be follows from how the kernel cuts the inner axis alone. */
const isShare = ({ params, writes }: Call) =>
  params["rows"] !== undefined && writes[0]!.length > params["rows"] * params["outputs"]!;

const conv: Reference = (call, o) => {
  if (isShare(call)) return undefined;
  const p = call.params as Readonly<Record<string, number>>;
  const { outputs, outHeight, outWidth, firstRow, firstSource, width, channels } = p as Record<string, number>;
  const actIn = nameOf(call.consts["ACT_IN"]);
  const bound = o["x"]!;
  const x: Values = (i) => activate(actIn, bound(i - firstSource! * width! * channels!));
  const shape = {
    height: p["height"]!,
    width: width!,
    channels: channels!,
    out: outputs!,
    kernel: p["kernelWidth"]!,
    stride: p["stride"]!,
    pad: [p["padTop"]!, p["padLeft"]!],
    gather: [p["gatherHeight"]!, p["gatherWidth"]!],
  } as const;
  const taps = o["weight"]!;
  const lineOf = (row: number) => firstRow! + Math.floor(row / outWidth!);
  const imageOf = (row: number) => Math.floor(lineOf(row) / outHeight!);
  const sumOf = (row: number, column: number) =>
    convAt(x, taps, shape, imageOf(row), lineOf(row) % outHeight!, row % outWidth!, column);
  return ended(call, o, outputs!, sumOf, imageOf);
};

/** What is left to do where the inner axis was shared: [shares, rows, outputs] to [rows, outputs]. */
const splitSum: Reference = (call, o) => {
  const { rows, splits, imageRows, firstRow, outputs, quads } = call.params as Record<string, number>;
  const columns = outputs ?? 4 * quads!;
  const parts = o["parts"] ?? o["sums"];
  const sumOf = (row: number, column: number) => {
    let sum = 0;
    for (let split = 0; split < splits!; split++) sum += parts!((split * rows! + row) * columns + column);
    return sum;
  };
  return ended(call, o, columns, sumOf, (row) => Math.floor((firstRow! + row) / imageRows!));
};

const linear: Reference = (call, o) => {
  if (isShare(call)) return undefined;
  const { outputs, inner, imageRows } = call.params as Record<string, number>;
  const actIn = nameOf(call.consts["ACT_IN"]);
  const x: Values = (i) => activate(actIn, o["x"]!(i));
  const sumOf = (row: number, column: number) => dotAt(x, o["weight"]!, inner!, row, column);
  return ended(call, o, outputs!, sumOf, (row) => Math.floor(row / imageRows!));
};

const attention: Reference = (call, o) => {
  const { queries, keys, headSize, scale } = call.params as Record<string, number>;
  const width = call.writes[0]!.tensor.shape.at(-1)!;
  const heads = width / headSize!;
  const causal = call.consts["CAUSAL"] === 1;
  const shape = { queries: queries!, keys: keys!, heads, headSize: headSize!, scale: scale!, causal };
  return (i) => {
    const row = Math.floor(i / width);
    const c = i % width;
    const [n, head] = [Math.floor(row / queries!), Math.floor(c / headSize!)];
    return attentionRow(o["q"]!, o["k"]!, o["v"]!, shape, n, row % queries!, head)[c % headSize!]!;
  };
};

const groupNorm: Reference = ({ params, consts }, o) => {
  const { pixels, channels, groupSize, eps } = params as Record<string, number>;
  if (o["modulation"]) return undefined;
  const act = nameOf(consts["ACT"]);
  return (i) => {
    const c = i % channels!;
    const image = Math.floor(i / channels! / pixels!);
    const { mean, variance } = momentsOf(o["x"]!, pixels!, channels!, groupSize!, image, Math.floor(c / groupSize!));
    const normed = (o["x"]!(i) - mean) / Math.sqrt(variance + eps!);
    return activate(act, normed * o["weight"]!(c) + o["bias"]!(c));
  };
};

/** Means and sums of squared differences of chunks, where one call takes those of all. */
const groupNormStats: Reference = ({ params }, o) => {
  const { pixels, channels, groupSize, chunkPixels, chunks, firstChunk } = params as Record<string, number>;
  if (firstChunk || chunks! * chunkPixels! < pixels!) return undefined;
  const groups = channels! / groupSize!;
  return (i) => {
    const place = Math.floor(i / 2);
    const [chunk, group] = [place % chunks!, Math.floor(place / chunks!) % groups];
    const image = Math.floor(place / chunks! / groups);
    const end = Math.min(pixels!, (chunk + 1) * chunkPixels!);
    const values: number[] = [];
    for (let p = chunk * chunkPixels!; p < end; p++) {
      for (let c = 0; c < groupSize!; c++)
        values.push(o["x"]!((image * pixels! + p) * channels! + group * groupSize! + c));
    }
    const mean = values.reduce((a, b) => a + b) / values.length;
    return i % 2 === 0 ? mean : values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  };
};

const groupNormScale: Reference = ({ params }, o) => {
  const { pixels, channels, groupSize, chunkPixels, chunks, eps } = params as Record<string, number>;
  if (o["modulation"]) return undefined;
  return (i) => {
    const c = i % channels!;
    const row = Math.floor(i / channels!); // of each image the scales, then the shifts
    const image = Math.floor(row / 2);
    const first = (image * (channels! / groupSize!) + Math.floor(c / groupSize!)) * chunks!;
    const parts = Array.from({ length: chunks! }, (_, chunk) => ({
      count: Math.min(chunkPixels!, pixels! - chunk * chunkPixels!) * groupSize!,
      mean: o["stats"]!(2 * (first + chunk)),
      total: o["stats"]!(2 * (first + chunk) + 1),
    }));
    const all = pixels! * groupSize!;
    const mean = parts.reduce((sum, part) => sum + part.mean * (part.count / all), 0);
    const variance =
      parts.reduce((sum, { count, mean: own, total }) => sum + total + (own - mean) ** 2 * count, 0) / all;
    const scale = o["weight"]!(c) / Math.sqrt(variance + eps!);
    return row % 2 === 0 ? scale : o["bias"]!(c) - mean * scale;
  };
};

const groupNormApply: Reference = ({ params, consts }, o) => {
  const { channels, imageSize, image } = params as Record<string, number>;
  const act = nameOf(consts["ACT"]);
  return (i) => {
    const s = 2 * (image! + Math.floor(i / imageSize!)) * channels! + (i % channels!);
    return activate(act, o["x"]!(i) * o["scaleShift"]!(s) + o["scaleShift"]!(s + channels!));
  };
};

const layerNorm: Reference = ({ params }, o) => {
  const { channels, eps } = params as Record<string, number>;
  return (i) => {
    const { mean, variance } = momentsOf(o["x"]!, 1, channels!, channels!, Math.floor(i / channels!), 0);
    const normed = (o["x"]!(i) - mean) / Math.sqrt(variance + eps!);
    return normed * o["weight"]!(i % channels!) + o["bias"]!(i % channels!);
  };
};

const pointwise: Reference = ({ consts }, o) => {
  const act = nameOf(consts["ACT"]);
  return (i) => activate(act, o["x"]!(i));
};

const concat: Reference = ({ params }, o) => {
  const { channelsA, channelsB } = params as Record<string, number>;
  return (i) => {
    const pixel = Math.floor(i / (channelsA! + channelsB!));
    const c = i % (channelsA! + channelsB!);
    return c < channelsA! ? o["a"]!(pixel * channelsA! + c) : o["b"]!(pixel * channelsB! + c - channelsA!);
  };
};

/** Some forms of convolution serve linear maps too: as a convolution with one tap. */
const references: Readonly<Record<string, Reference>> = {
  conv2d: conv,
  conv2dDirect: conv,
  conv2dSubgroup: conv,
  conv2dMatrix: conv,
  splitSum,
  sumSplits: splitSum,
  linear,
  linearRows: linear,
  attention,
  attentionDirect: attention,
  attentionMatrix: attention,
  attentionRows: attention,
  groupNorm,
  groupNormStats,
  groupNormScale,
  groupNormApply,
  layerNorm,
  activation: pointwise,
  concat,
};
