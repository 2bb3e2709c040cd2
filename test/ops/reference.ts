import { type Shape, sizeOf } from "../../src/core/shape.js";
import type { Activation } from "../../src/ops/activation.js";

// Every operator as a plain loop in float64, to compare kernels with. Layouts as in the engine: pictures NHWC, but
// weights as in the file ([O, I, KH, KW]).

export interface Numbers {
  readonly shape: Shape;
  readonly values: ArrayLike<number>;
}

export interface Result {
  readonly shape: Shape;
  readonly values: Float64Array;
}

export const zeros = (shape: Shape): Result => ({ shape, values: new Float64Array(sizeOf(shape)) });

/** The error function by its Taylor series and, further out, by its continued fraction: to about 1e-15. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

const functions: Readonly<Record<Activation, (x: number) => number>> = {
  none: (x) => x,
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  quickGelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0),
  tanh: (x) => Math.tanh(x),
};

export const activate = (act: Activation, x: number): number => functions[act](x);

export const map = ({ shape, values }: Numbers, f: (x: number, i: number) => number): Result => ({
  shape,
  values: Float64Array.from(values, f),
});

export interface Epilogue {
  readonly bias?: Numbers | undefined;
  readonly channelBias?: Numbers | undefined;
  readonly act?: Activation | undefined;
  readonly residual?: Numbers | undefined;
}

function finish(sum: number, at: number, column: number, image: number, columns: number, e: Epilogue): number {
  let value = sum + (e.bias?.values[column] ?? 0) + (e.channelBias?.values[image * columns + column] ?? 0);
  value = activate(e.act ?? "none", value);
  return value + (e.residual?.values[at] ?? 0);
}

export function linear(
  x: Numbers,
  weight: Numbers,
  e: Epilogue & { readonly actIn?: Activation | undefined } = {},
): Result {
  const [out, inner] = weight.shape as [number, number];
  const y = zeros([...x.shape.slice(0, -1), out]);
  const rows = y.values.length / out;
  const imageRows = rows / x.shape[0]!;
  const input = map(x, (v) => activate(e.actIn ?? "none", v)).values;
  for (let m = 0; m < rows; m++) {
    for (let o = 0; o < out; o++) {
      let sum = 0;
      for (let i = 0; i < inner; i++) sum += input[m * inner + i]! * weight.values[o * inner + i]!;
      y.values[m * out + o] = finish(sum, m * out + o, o, Math.floor(m / imageRows), out, e);
    }
  }
  return y;
}

export interface Conv2d extends Epilogue {
  readonly stride?: number | undefined;
  /** Left, right, top, bottom. */
  readonly pad?: readonly [number, number, number, number] | undefined;
  readonly actIn?: Activation | undefined;
  readonly resize?: readonly [number, number] | undefined;
}

export function conv2d(input: Numbers, weight: Numbers, options: Conv2d = {}): Result {
  const { stride = 1, actIn = "none", resize } = options;
  const resized = resize ? resizeNearest(input, resize) : input;
  const x = map(resized, (v) => activate(actIn, v));
  const [n, height, width, channels] = x.shape as [number, number, number, number];
  const [out, , kernel] = weight.shape as [number, number, number, number];
  const half = (kernel - 1) / 2;
  const [left, right, top, bottom] = options.pad ?? [half, half, half, half];
  const outHeight = Math.floor((height + top + bottom - kernel) / stride) + 1;
  const outWidth = Math.floor((width + left + right - kernel) / stride) + 1;
  const y = zeros([n, outHeight, outWidth, out]);
  for (let b = 0; b < n; b++) {
    for (let oy = 0; oy < outHeight; oy++) {
      for (let ox = 0; ox < outWidth; ox++) {
        for (let o = 0; o < out; o++) {
          let sum = 0;
          for (let ky = 0; ky < kernel; ky++) {
            const iy = oy * stride + ky - top;
            if (iy < 0 || iy >= height) continue;
            for (let kx = 0; kx < kernel; kx++) {
              const ix = ox * stride + kx - left;
              if (ix < 0 || ix >= width) continue;
              for (let c = 0; c < channels; c++) {
                const w = weight.values[((o * channels + c) * kernel + ky) * kernel + kx]!;
                sum += x.values[((b * height + iy) * width + ix) * channels + c]! * w;
              }
            }
          }
          const at = ((b * outHeight + oy) * outWidth + ox) * out + o;
          y.values[at] = finish(sum, at, o, b, out, options);
        }
      }
    }
  }
  return y;
}

/** Calls back for each element of an NHWC picture of a shape, in order. */
function eachPixel(shape: Shape, visit: (n: number, y: number, x: number, c: number) => number): Result {
  const result = zeros(shape);
  const [n, height, width, channels] = shape as [number, number, number, number];
  let i = 0;
  for (let b = 0; b < n; b++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        for (let c = 0; c < channels; c++) result.values[i++] = visit(b, y, x, c);
      }
    }
  }
  return result;
}

const at = ({ shape, values }: Numbers, n: number, y: number, x: number, c: number): number =>
  values[((n * shape[1]! + y) * shape[2]! + x) * shape[3]! + c]!;

export function resizeNearest(x: Numbers, [height, width]: readonly [number, number]): Result {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return eachPixel([n, height, width, c], (b, oy, ox, k) =>
    at(x, b, Math.floor((oy * h) / height), Math.floor((ox * w) / width), k),
  );
}

export function resizeBilinear(x: Numbers, [height, width]: readonly [number, number], scale?: number): Result {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  const clamp = (v: number, size: number) => Math.min(Math.max(v, 0), size - 1);
  return eachPixel([n, height, width, c], (b, oy, ox, k) => {
    const fy = clamp((oy + 0.5) * (scale ? 1 / scale : h / height) - 0.5, h);
    const fx = clamp((ox + 0.5) * (scale ? 1 / scale : w / width) - 0.5, w);
    let sum = 0;
    for (const y of [Math.floor(fy), Math.floor(fy) + 1]) {
      for (const x2 of [Math.floor(fx), Math.floor(fx) + 1]) {
        const part = (1 - Math.abs(fy - y)) * (1 - Math.abs(fx - x2));
        sum += part * at(x, b, clamp(y, h), clamp(x2, w), k);
      }
    }
    return sum;
  });
}

export function averagePool(x: Numbers): Result {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return eachPixel([n, Math.floor(h / 2), Math.floor(w / 2), c], (b, oy, ox, k) => {
    let sum = 0;
    for (const y of [0, 1]) for (const x2 of [0, 1]) sum += at(x, b, 2 * oy + y, 2 * ox + x2, k);
    return sum / 4;
  });
}

export interface Attention {
  readonly heads: number;
  readonly causal?: boolean | undefined;
  readonly scale?: number | undefined;
}

export function attention(q: Numbers, k: Numbers, v: Numbers, { heads, causal = false, scale }: Attention): Result {
  const [n, queries, width] = q.shape as [number, number, number];
  const keys = k.shape[1]!;
  const size = width / heads;
  const y = zeros(q.shape);
  for (let b = 0; b < n; b++) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < queries; i++) {
        const seen = causal ? Math.min(keys, i + 1) : keys;
        const from = (b * queries + i) * width + h * size;
        const scores = Array.from({ length: seen }, (_, j) => {
          let dot = 0;
          for (let c = 0; c < size; c++) dot += q.values[from + c]! * k.values[(b * keys + j) * width + h * size + c]!;
          return dot * (scale ?? 1 / Math.sqrt(size));
        });
        const top = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - top));
        const total = weights.reduce((a, w) => a + w, 0);
        for (let c = 0; c < size; c++) {
          let sum = 0;
          for (let j = 0; j < seen; j++) sum += weights[j]! * v.values[(b * keys + j) * width + h * size + c]!;
          y.values[from + c] = sum / total;
        }
      }
    }
  }
  return y;
}

export interface Norm {
  readonly weight: Numbers;
  readonly bias: Numbers;
  readonly eps?: number | undefined;
}

/** Normalises the elements at `indices`; `channel` tells which scale and shift an element takes. */
function normalise(
  x: Numbers,
  y: Result,
  indices: readonly number[],
  channel: (i: number) => number,
  norm: Norm,
): void {
  const mean = indices.reduce((sum, i) => sum + x.values[i]!, 0) / indices.length;
  const variance = indices.reduce((sum, i) => sum + (x.values[i]! - mean) ** 2, 0) / indices.length;
  for (const i of indices) {
    const c = channel(i);
    const value = (x.values[i]! - mean) / Math.sqrt(variance + (norm.eps ?? 1e-5));
    y.values[i] = value * norm.weight.values[c]! + norm.bias.values[c]!;
  }
}

export function layerNorm(x: Numbers, norm: Norm): Result {
  const channels = x.shape.at(-1)!;
  const y = zeros(x.shape);
  for (let row = 0; row < y.values.length / channels; row++) {
    const indices = Array.from({ length: channels }, (_, c) => row * channels + c);
    normalise(x, y, indices, (i) => i % channels, norm);
  }
  return y;
}

export interface GroupNorm extends Norm {
  readonly groups: number;
  readonly act?: Activation | undefined;
  /** [N, 2, C]: what is added to 1 and multiplied, and what is added. */
  readonly modulation?: Numbers | undefined;
}

export function groupNorm(x: Numbers, norm: GroupNorm): Result {
  const channels = x.shape.at(-1)!;
  const size = channels / norm.groups;
  const image = sizeOf(x.shape.slice(1));
  const y = zeros(x.shape);
  for (let b = 0; b < x.shape[0]!; b++) {
    for (let g = 0; g < norm.groups; g++) {
      const indices = Array.from({ length: image / norm.groups }, (_, i) => {
        return b * image + Math.floor(i / size) * channels + g * size + (i % size);
      });
      normalise(x, y, indices, (i) => i % channels, norm);
      for (const i of norm.modulation ? indices : []) {
        const [factor, term] = [0, 1].map((row) => norm.modulation!.values[(2 * b + row) * channels + (i % channels)]!);
        y.values[i] = y.values[i]! * (1 + factor!) + term!;
      }
    }
  }
  return map(y, (v) => activate(norm.act ?? "none", v));
}

export function softmax(x: Numbers): Result {
  const channels = x.shape.at(-1)!;
  const y = zeros(x.shape);
  for (let row = 0; row < y.values.length / channels; row++) {
    const values = Array.from({ length: channels }, (_, c) => x.values[row * channels + c]!);
    const top = Math.max(...values);
    const total = values.reduce((sum, v) => sum + Math.exp(v - top), 0);
    for (const [c, v] of values.entries()) y.values[row * channels + c] = Math.exp(v - top) / total;
  }
  return y;
}

/** The first half of each row times the activation of the second. */
export function gated(x: Numbers, act: Activation): Result {
  const width = x.shape.at(-1)!;
  const channels = width / 2;
  const y = zeros([...x.shape.slice(0, -1), channels]);
  return map(y, (_, i) => {
    const from = Math.floor(i / channels) * width + (i % channels);
    return x.values[from]! * activate(act, x.values[from + channels]!);
  });
}

export function concat(a: Numbers, b: Numbers): Result {
  const [ca, cb] = [a.shape.at(-1)!, b.shape.at(-1)!];
  const y = zeros([...a.shape.slice(0, -1), ca + cb]);
  return map(y, (_, i) => {
    const row = Math.floor(i / (ca + cb));
    const c = i % (ca + cb);
    return c < ca ? a.values[row * ca + c]! : b.values[row * cb + c - ca]!;
  });
}
