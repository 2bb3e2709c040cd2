import { ceilDiv } from "../core/shape.js";

/** How a product is spread over workgroups. */
export interface Tiling {
  /** Rows of a workgroup's block of outputs. */
  readonly m: number;
  /** Columns of the block. */
  readonly n: number;
  /** Workgroups that share the inner axis of a block; more than one leaves sums that another kernel adds. */
  readonly splits: number;
  /** Slices of the inner axis that one workgroup multiplies. */
  readonly share: number;
  /** What specialises the kernel. */
  readonly consts: Readonly<Record<"TILE_M" | "TILE_N" | "QM" | "QN" | "DEPTH" | "BUFFERS", number>>;
}

/** Blocks, largest first: rows, columns, quads of each an invocation, and workgroups that make the next one better. */
const blocks = [
  { m: 128, n: 128, quads: 2, enough: 256 },
  { m: 128, n: 64, quads: 2, enough: 256 },
  { m: 64, n: 64, quads: 2, enough: 96 },
  { m: 32, n: 32, quads: 1, enough: 32 },
  { m: 16, n: 16, quads: 1, enough: 0 },
] as const;

const depth = 8;
/** Workgroups that a large GPU runs at once. */
const wanted = 512;
/** Slices that are worth a workgroup of its own. */
const leastShare = 32;
/** Numbers that the sums of all shares may hold. */
const mostSums = 1 << 22;

/** Large blocks read less; small ones, and a shared inner axis, spread small products over more cores. */
export function chooseTile(rows: number, outputs: number, inner: number): Tiling {
  const slices = ceilDiv(inner, depth);
  const sharing = ({ m, n }: { readonly m: number; readonly n: number }): number => {
    const groups = ceilDiv(rows, m) * ceilDiv(outputs, n);
    const most = Math.min(slices / leastShare, mostSums / (rows * outputs), wanted / groups);
    return Math.max(1, Math.floor(most));
  };
  const fits = (block: (typeof blocks)[number]) =>
    rows > block.m / 2 &&
    outputs > block.n / 2 &&
    ceilDiv(rows, block.m) * ceilDiv(outputs, block.n) * sharing(block) >= block.enough;
  const { m, n, quads } = blocks.find(fits) ?? blocks.at(-1)!;
  const share = ceilDiv(slices, sharing({ m, n }));
  return {
    ...{ m, n, share, splits: ceilDiv(slices, share) },
    consts: { TILE_M: m, TILE_N: n, QM: quads, QN: quads, DEPTH: depth, BUFFERS: 2 },
  };
}

/** The consts that say how the inner axis and the outputs divide. */
export const divides = (channels: number, outputs: number): { VECTOR: number; WIDE: number } => ({
  VECTOR: channels % depth === 0 ? 2 : channels % 4 === 0 ? 1 : 0,
  WIDE: outputs % 4 === 0 ? 1 : 0,
});
