// Operators in float64, one element at a time, for errors of sampled outputs. Pictures are NHWC, convolution weights
// [O, KH, KW, I], matrices [O, I]; values come from functions of the flat index, so that nothing need lie in memory.

export type Values = (index: number) => number;

export interface ConvShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: readonly [top: number, left: number];
  /** Size as which the convolution sees its input (nearest neighbour). */
  readonly gather: readonly [height: number, width: number];
}

/** sum of x * weight for one output, before anything is added. */
export function convAt(x: Values, weight: Values, s: ConvShape, image: number, oy: number, ox: number, o: number) {
  const { height, width, channels, kernel } = s;
  let sum = 0;
  for (let ky = 0; ky < kernel; ky++) {
    const iy = oy * s.stride + ky - s.pad[0];
    if (iy < 0 || iy >= s.gather[0]) continue;
    const y = Math.floor((iy * height) / s.gather[0]);
    for (let kx = 0; kx < kernel; kx++) {
      const ix = ox * s.stride + kx - s.pad[1];
      if (ix < 0 || ix >= s.gather[1]) continue;
      const from = ((image * height + y) * width + Math.floor((ix * width) / s.gather[1])) * channels;
      const taps = ((o * kernel + ky) * kernel + kx) * channels;
      for (let c = 0; c < channels; c++) sum += x(from + c) * weight(taps + c);
    }
  }
  return sum;
}

export function dotAt(x: Values, weight: Values, inner: number, row: number, o: number): number {
  let sum = 0;
  for (let i = 0; i < inner; i++) sum += x(row * inner + i) * weight(o * inner + i);
  return sum;
}

export interface AttentionShape {
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly headSize: number;
  readonly scale: number;
  readonly causal: boolean;
}

/** One row of one head: `headSize` numbers. */
export function attentionRow(q: Values, k: Values, v: Values, s: AttentionShape, n: number, row: number, head: number) {
  const { queries, heads, headSize, scale } = s;
  const width = heads * headSize;
  const seen = s.causal ? row + 1 : s.keys;
  const at = (n * queries + row) * width + head * headSize;
  const keyAt = (t: number) => (n * s.keys + t) * width + head * headSize;
  const scores = new Float64Array(seen);
  for (let t = 0; t < seen; t++) {
    let sum = 0;
    for (let d = 0; d < headSize; d++) sum += q(at + d) * k(keyAt(t) + d);
    scores[t] = sum * scale;
  }
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const shares = scores.map((score) => Math.exp(score - most));
  const total = shares.reduce((a, b) => a + b, 0);
  return Float64Array.from({ length: headSize }, (_, d) => {
    let sum = 0;
    for (let t = 0; t < seen; t++) sum += shares[t]! * v(keyAt(t) + d);
    return sum / total;
  });
}

/** Mean and variance of a group of channels over all pixels of an image; of a row where there is one pixel. */
export function momentsOf(
  x: Values,
  pixels: number,
  channels: number,
  groupSize: number,
  image: number,
  group: number,
) {
  const base = image * pixels * channels + group * groupSize;
  const count = pixels * groupSize;
  let sum = 0;
  for (let p = 0; p < pixels; p++) for (let c = 0; c < groupSize; c++) sum += x(base + p * channels + c);
  const mean = sum / count;
  let squares = 0;
  for (let p = 0; p < pixels; p++) {
    for (let c = 0; c < groupSize; c++) squares += (x(base + p * channels + c) - mean) ** 2;
  }
  return { mean, variance: squares / count };
}

/** About `most` indices below `count` that favour no row or column: multiples of the golden ratio. */
export function sampled(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  const places = Array.from({ length: most }, (_, i) => Math.floor(((i * 0.6180339887498949) % 1) * count));
  return [...new Set([...places, count - 1])];
}

/** Root of sum((a - b)^2) / sum(b^2). */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    power += expected[i]! ** 2;
  }
  return error === 0 ? 0 : Math.sqrt(error / power);
}
