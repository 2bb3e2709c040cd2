// Single operators with shapes of real networks. What they compute is stated here once, in float64, for every engine that
// is measured: inputs are functions of an index, and a few outputs are worked out.
import { sizeOf } from "../../src/core/shape.js";
import { activate } from "../../test/ops/reference.js";
import { attentionRow, convAt, dotAt, momentsOf } from "./float64.js";
import { type Spread, scaled, unit, valueAt } from "./random.js";

/** A tensor that goes in: pictures [N, H, W, C], tokens [N, T, C], convolution weights [O, I, KH, KW], matrices [O, I]. */
export interface Given {
  readonly shape: readonly number[];
  readonly spread: Spread;
}

interface Base {
  readonly id: string;
  readonly inputs: Readonly<Record<string, Given>>;
  /** [N, H, W, C] or [N, T, C]. */
  readonly out: readonly number[];
  readonly flops: number;
  /** Element `index` of the output in float64. */
  readonly at: (index: number) => number;
}

/** An operator and its sizes. */
export type OpCase = Base &
  (
    | { readonly op: "conv" }
    | { readonly op: "linear" }
    | { readonly op: "attention"; readonly heads: number }
    | { readonly op: "groupNormSilu"; readonly groups: number }
    | { readonly op: "layerNorm" }
    | { readonly op: "geglu" }
  );

export const eps = 1e-5;

const read =
  ({ spread }: Given) =>
  (i: number) =>
    valueAt(i, spread);
const scales = (length: number): Given => ({ shape: [length], spread: { seed: 5, scale: 0.125, offset: 1 } });
const shifts = (length: number): Given => ({ shape: [length], spread: { seed: 6, scale: 0.125 } });

/** Elements that an operator touches at least. */
export const elementsOf = ({ inputs, out }: Base): number =>
  Object.values(inputs).reduce((sum, { shape }) => sum + sizeOf(shape), sizeOf(out));

/** 3 x 3 with bias. */
export function conv(images: number, side: number, channels: number, out: number): OpCase {
  const x: Given = { shape: [images, side, side, channels], spread: unit(1) };
  const weight: Given = { shape: [out, channels, 3, 3], spread: scaled(2, 9 * channels) };
  const bias = shifts(out);
  const shape = {
    height: side,
    width: side,
    channels,
    out,
    kernel: 3,
    stride: 1,
    pad: [1, 1],
    gather: [side, side],
  } as const;
  const stored = read(weight);
  // From [O, KH, KW, I], as the reference counts, to the file's order.
  const taps = (i: number) => {
    const c = i % channels;
    const tap = Math.floor(i / channels) % 9;
    return stored((Math.floor(i / channels / 9) * channels + c) * 9 + tap);
  };
  return {
    op: "conv",
    id: `conv 3x3 ${channels}>${out} @${side}x${side} batch ${images}`,
    inputs: { x, weight, bias },
    out: [images, side, side, out],
    flops: 2 * images * side * side * out * 9 * channels,
    at: (i) => {
      const pixel = Math.floor(i / out);
      const [n, y] = [Math.floor(pixel / side / side), Math.floor(pixel / side) % side];
      return convAt(read(x), taps, shape, n, y, pixel % side, i % out) + read(bias)(i % out);
    },
  };
}

export function linear(rows: number, inner: number, out: number): OpCase {
  const x: Given = { shape: [1, rows, inner], spread: unit(1) };
  const weight: Given = { shape: [out, inner], spread: scaled(2, inner) };
  const bias = shifts(out);
  return {
    op: "linear",
    id: `linear ${rows}x${inner}x${out}`,
    inputs: { x, weight, bias },
    out: [1, rows, out],
    flops: 2 * rows * inner * out,
    at: (i) => dotAt(read(x), read(weight), inner, Math.floor(i / out), i % out) + read(bias)(i % out),
  };
}

export function attention(images: number, queries: number, keys: number, heads: number, headSize: number): OpCase {
  const width = heads * headSize;
  const q: Given = { shape: [images, queries, width], spread: unit(1) };
  const k: Given = { shape: [images, keys, width], spread: unit(2) };
  const v: Given = { shape: [images, keys, width], spread: unit(3) };
  const shape = { queries, keys, heads, headSize, scale: headSize ** -0.5, causal: false };
  const rows = new Map<number, Float64Array>();
  return {
    op: "attention",
    heads,
    id: `attention ${images}x${queries}${keys === queries ? "" : `x${keys}`}x${heads}x${headSize}`,
    inputs: { q, k, v },
    out: [images, queries, width],
    flops: 4 * images * queries * keys * width,
    at: (i) => {
      const [row, c] = [Math.floor(i / width), i % width];
      const head = Math.floor(c / headSize);
      const key = row * heads + head;
      const [n, at] = [Math.floor(row / queries), row % queries];
      const values = rows.get(key) ?? attentionRow(read(q), read(k), read(v), shape, n, at, head);
      rows.set(key, values);
      return values[c % headSize]!;
    },
  };
}

export function groupNormSilu(images: number, channels: number, side: number): OpCase {
  const groups = 32;
  const groupSize = channels / groups;
  const x: Given = { shape: [images, side, side, channels], spread: unit(1) };
  const [weight, bias] = [scales(channels), shifts(channels)];
  const known = new Map<number, { mean: number; variance: number }>();
  return {
    op: "groupNormSilu",
    groups,
    id: `group norm + SiLU ${images}x${channels}x${side}x${side}`,
    inputs: { x, weight, bias },
    out: x.shape,
    flops: 0,
    at: (i) => {
      const c = i % channels;
      const [n, group] = [Math.floor(i / channels / side / side), Math.floor(c / groupSize)];
      const key = n * groups + group;
      const moments = known.get(key) ?? momentsOf(read(x), side * side, channels, groupSize, n, group);
      known.set(key, moments);
      const normed = (read(x)(i) - moments.mean) / Math.sqrt(moments.variance + eps);
      return activate("silu", normed * read(weight)(c) + read(bias)(c));
    },
  };
}

export function layerNorm(rows: number, channels: number): OpCase {
  const x: Given = { shape: [1, rows, channels], spread: unit(1) };
  const [weight, bias] = [scales(channels), shifts(channels)];
  return {
    op: "layerNorm",
    id: `layer norm ${rows}x${channels}`,
    inputs: { x, weight, bias },
    out: x.shape,
    flops: 0,
    at: (i) => {
      const { mean, variance } = momentsOf(read(x), 1, channels, channels, Math.floor(i / channels), 0);
      return ((read(x)(i) - mean) / Math.sqrt(variance + eps)) * read(weight)(i % channels) + read(bias)(i % channels);
    },
  };
}

/** A linear map to values and their gates, and the values times the GELU of these. */
export function geglu(rows: number, inner: number, out: number): OpCase {
  const x: Given = { shape: [1, rows, inner], spread: unit(1) };
  const weight: Given = { shape: [2 * out, inner], spread: scaled(2, inner) };
  const bias = shifts(2 * out);
  const product = (row: number, column: number) =>
    dotAt(read(x), read(weight), inner, row, column) + read(bias)(column);
  return {
    op: "geglu",
    id: `GEGLU ${rows}x${inner}x${out}`,
    inputs: { x, weight, bias },
    out: [1, rows, out],
    flops: 4 * rows * inner * out,
    at: (i) => {
      const [row, column] = [Math.floor(i / out), i % out];
      return product(row, column) * activate("gelu", product(row, out + column));
    },
  };
}

/** The operators that issue 4 of this project sets times for. */
export const acceptanceCases = (): OpCase[] => [
  conv(2, 64, 320, 320),
  conv(2, 16, 1280, 1280),
  linear(4096, 320, 2560),
  attention(2, 4096, 4096, 8, 40),
  groupNormSilu(2, 320, 64),
];

/** Others that take much of a step of Stable Diffusion 1.5, or of its decoder. */
export const furtherCases = (): OpCase[] => [
  conv(2, 32, 640, 640),
  conv(2, 8, 2560, 1280),
  conv(1, 512, 128, 128),
  conv(1, 64, 512, 512),
  linear(8192, 320, 1280),
  linear(8192, 320, 320),
  linear(2048, 640, 640),
  linear(512, 1280, 1280),
  attention(2, 1024, 1024, 8, 80),
  attention(2, 4096, 77, 8, 40),
  attention(1, 4096, 4096, 1, 512),
  layerNorm(8192, 320),
  geglu(8192, 320, 1280),
];

/** Small enough for adapters that run on a CPU. */
export const smallCases = (): OpCase[] => [
  conv(1, 32, 64, 64),
  conv(1, 32, 128, 64),
  linear(256, 256, 256),
  geglu(256, 64, 256),
  attention(1, 256, 256, 4, 32),
  groupNormSilu(1, 64, 32),
  layerNorm(1024, 128),
];
