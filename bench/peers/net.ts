// Networks that several engines build from one description. Pictures are [N, H, W, C] and tokens [N, T, C] in every shape
// here, however an engine lays them out.

/** A value of an engine under construction. */
export interface Value<V> {
  readonly shape: readonly number[];
  readonly v: V;
}

export interface ConvOptions {
  readonly out: number;
  readonly kernel?: number;
  readonly stride?: number;
}

/** What an engine must be able to build. Weights go by the names of the checkpoint. */
export interface Net<V> {
  /** Padded by half the kernel, with bias. */
  conv(x: Value<V>, name: string, options: ConvOptions): Value<V>;
  linear(x: Value<V>, name: string, out: number, bias: boolean): Value<V>;
  groupNorm(x: Value<V>, name: string, groups: number, eps: number): Value<V>;
  layerNorm(x: Value<V>, name: string, eps: number): Value<V>;
  attention(q: Value<V>, k: Value<V>, v: Value<V>, heads: number): Value<V>;
  silu(x: Value<V>): Value<V>;
  /** The first half of the channels times the exact GELU of the second. */
  geglu(x: Value<V>): Value<V>;
  add(a: Value<V>, b: Value<V>): Value<V>;
  /** To every pixel of a picture a row [N, C]. */
  addChannels(x: Value<V>, row: Value<V>): Value<V>;
  concat(a: Value<V>, b: Value<V>): Value<V>;
  /** Twice the size, nearest neighbour. */
  upsample(x: Value<V>): Value<V>;
  tokens(x: Value<V>): Value<V>;
  picture(x: Value<V>, height: number, width: number): Value<V>;
}

/** Numbers in row-major order; weights in the order of files. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
  /** The same as bits of float16, where they are at hand. */
  readonly halves?: Uint16Array<ArrayBuffer>;
}

/** One piece of work for all engines. */
export interface Task {
  readonly id: string;
  readonly flops: number;
  readonly bytes: number;
  readonly inputs: ReadonlyMap<string, Numbers>;
  readonly weight: (name: string) => Numbers;
  readonly record: <V>(net: Net<V>, inputs: ReadonlyMap<string, Value<V>>) => Value<V>;
  /** Outputs in float64, at some places. */
  expected(): Expected;
}

export interface Expected {
  readonly places: readonly number[];
  readonly values: ArrayLike<number>;
}

export const picture = (shape: readonly number[]) => shape as readonly [number, number, number, number];

/** The result of a convolution that is padded by half its kernel. */
export function convShape(shape: readonly number[], { out, kernel = 3, stride = 1 }: ConvOptions): number[] {
  const [n, height, width] = picture(shape);
  const size = (side: number) => Math.floor((side + 2 * Math.floor(kernel / 2) - kernel) / stride) + 1;
  return [n, size(height), size(width), out];
}
