import { ceilDiv } from "../core/shape.js";

/** A workgroup's block of outputs. */
export interface Block {
  /** Rows. */
  readonly m: number;
  /** Columns. */
  readonly n: number;
  /** Quads of rows and of columns that one invocation computes. */
  readonly quads: readonly [number, number];
  /** TFLOP/s that it reached on the H100 with all cores busy. */
  readonly speed: number;
}

/** How a product is spread over workgroups. */
export interface Tiling extends Block {
  /** Workgroups that share the inner axis of a block; more than one leaves sums that another kernel adds. */
  readonly splits: number;
  /** Slices of the inner axis that one workgroup multiplies. */
  readonly share: number;
}

/** What a workgroup can compute. Blocks of 128 x 128 won for wide products in float16 only, by a tenth. */
export const blocks: readonly Block[] = [
  { m: 128, n: 64, quads: [2, 2], speed: 33 },
  { m: 64, n: 64, quads: [2, 2], speed: 31 },
  { m: 64, n: 16, quads: [2, 1], speed: 20 },
  { m: 32, n: 32, quads: [1, 1], speed: 21 },
  { m: 16, n: 16, quads: [1, 1], speed: 12 },
];

/** Depth of a slice of the inner axis, as in lib/tile.wgsl. */
const depth = 8;
/** Slices that are worth a workgroup of its own. */
const leastShare = 16;
/** Numbers that the sums of all shares may hold: they take memory beside the activations. */
const mostSums = 6 << 20;
/** Cores over which workgroups are dealt, and subgroups that keep one of them busy. */
const cores = 132;
const busy = 12;

/** A block with its inner axis shared as asked, or a little less. */
export function tilingOf(block: Block, inner: number, splits: number): Tiling {
  const slices = ceilDiv(inner, depth);
  const share = ceilDiv(slices, splits);
  return { ...block, share, splits: ceilDiv(slices, share) };
}

/**
 * Microseconds that the workgroups of a product take over `inner` numbers each: as long as the core with the most of them,
 * less than fully busy where these are few. Within 5% of what was measured on an H100; on smaller GPUs every choice keeps
 * the cores busy, and the larger block wins.
 */
export function productTime({ m, n, quads, speed }: Block, workgroups: number, inner: number): number {
  const rounds = ceilDiv(workgroups, cores);
  const subgroups = rounds * ceilDiv((m * n) / (16 * quads[0] * quads[1]), 32);
  const product = (rounds * 2 * m * n * (inner + 16)) / ((speed * 1e6) / cores);
  return 6 + product * Math.max(1, busy / subgroups) ** 0.35;
}

/** Microseconds that a product takes, with a second pass where the inner axis is shared. */
export function estimate(tiling: Tiling, rows: number, outputs: number): number {
  const { m, n, splits, share } = tiling;
  const workgroups = ceilDiv(rows, m) * ceilDiv(outputs, n) * splits;
  const sums = splits > 1 ? 5 + (splits * rows * outputs) / 1e6 : 0;
  return productTime(tiling, workgroups, share * depth) + sums;
}

/** Whether a gated product can be spread so: an invocation holds quads of values and of their gates, and whole sums. */
export const takesGates = ({ quads, splits }: Pick<Tiling, "quads" | "splits">): boolean =>
  quads[1] === 2 && splits === 1;

/** Every block, with its inner axis shared in each way that is worth it. */
export function tilings(rows: number, outputs: number, inner: number, gated = false): Tiling[] {
  const most = gated ? 1 : Math.min(ceilDiv(inner, depth) / leastShare, mostSums / (rows * outputs), 32);
  const suited = gated ? blocks.filter((block) => takesGates({ ...block, splits: 1 })) : blocks;
  return suited.flatMap((block) =>
    Array.from({ length: Math.max(1, Math.floor(most)) }, (_, i) => tilingOf(block, inner, i + 1)),
  );
}

/**
 * Large blocks read less; small ones, and a shared inner axis, spread small products over more cores. Of a gated product
 * half of the outputs are gates of the others.
 */
export function chooseTile(rows: number, outputs: number, inner: number, gated = false): Tiling {
  const cost = (tiling: Tiling) => estimate(tiling, rows, outputs);
  return tilings(rows, outputs, inner, gated).reduce((a, b) => (cost(b) < cost(a) ? b : a));
}

/** What specialises a kernel: the block, and how the channels (that is, the inner axis) and the outputs divide. */
export const tileConsts = ({ m, n, quads }: Block, channels: number, outputs: number) => ({
  TILE_M: m,
  TILE_N: n,
  QM: quads[0],
  QN: quads[1],
  VECTOR: channels % depth === 0 ? 2 : channels % 4 === 0 ? 1 : 0,
  WIDE: outputs % 4 === 0 ? 1 : 0,
});
