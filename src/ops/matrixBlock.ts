import type { DType } from "../core/dtype.js";
import type { MatrixUnits } from "../core/matrixUnits.js";
import { ceilDiv } from "../core/shape.js";

/** How a product is cut up for the matrix units. */
export interface MatrixBlock {
  /** Rows and columns of the result that a workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** Subgroups of the workgroup, along rows and columns. */
  readonly acrossRows: number;
  readonly acrossColumns: number;
  /** Length of a slice of the inner axis: 32 or 64. */
  readonly depth: number;
  /** Slices in workgroup memory: 1 or 2. */
  readonly buffers: number;
  /** Parts of the inner axis, each of which a workgroup of its own sums up. */
  readonly splits: number;
}

/** Bytes of workgroup memory that a block takes. */
function blockBytes({ rows, columns, depth, buffers, acrossRows, acrossColumns }: Cut, { m }: MatrixUnits): number {
  const slices = buffers * (rows + columns) * (depth + 8) * 2;
  const sums = acrossRows * m * (columns + 4 * acrossColumns) * 4;
  return Math.max(slices, sums);
}

/** A block without the sharing of the inner axis. */
type Cut = Omit<MatrixBlock, "splits">;

/**
 * Whether the units can work on a block over so many channels, within the device's limits. Of a gated product each subgroup
 * owns as many matrices of gates as of values.
 */
export function suitsUnits(cut: Cut, units: MatrixUnits, channels: number, gated = false): boolean {
  const { rows, columns, acrossRows, acrossColumns, depth } = cut;
  const invocations = acrossRows * acrossColumns * units.subgroup;
  const pieces = depth / 8; // of 16 bytes, in a row of a slice: each invocation loads as many
  const whole = [
    channels / depth,
    depth / units.k,
    rows / (acrossRows * units.m),
    columns / (acrossColumns * units.n * (gated ? 2 : 1)),
    (rows * pieces) / invocations,
    (columns * pieces) / invocations,
  ];
  return (
    whole.every(Number.isInteger) && invocations <= units.invocations && blockBytes(cut, units) <= units.workgroupBytes
  );
}

/** Blocks that the choice is among. */
export const cuts = {
  /** The largest part of the result a subgroup, so the fewest reads of workgroup memory. */
  large: { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 2, depth: 32, buffers: 1 },
  /** Twice as many subgroups, which hide more where a core has a single workgroup. */
  lone: { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 4, depth: 64, buffers: 1 },
  /** For 320 outputs, which 128 do not divide, and for multiples of them with many rows. */
  broad: { rows: 128, columns: 160, acrossRows: 2, acrossColumns: 2, depth: 32, buffers: 1 },
  /** For few rows, and for devices with little workgroup memory. */
  small: { rows: 64, columns: 64, acrossRows: 2, acrossColumns: 1, depth: 32, buffers: 1 },
} as const satisfies Record<string, Cut>;

/** Workgroups of a large block that a large GPU runs at once, of two a core; and of a small one. */
const wanted = 264;
const wantedSmall = 480;
/** Length of the inner axis that is worth a workgroup of its own. */
const leastShare = 400;
/** Length of the inner axis up to which what comes before and after it takes a large part of the time. */
const shortInner = 512;

/** A product of `rows` x `inner` by `inner` x `outputs`; the inner axis is gathered by `channels`. */
export interface Product {
  readonly rows: number;
  readonly outputs: number;
  readonly inner: number;
  readonly channels: number;
  /** Half of the outputs are gates of the others; its inner axis is not shared. */
  readonly gated?: boolean;
}

/** The block for a product, or undefined where the units cannot work on any. */
export function chooseBlock(product: Product, units: MatrixUnits): MatrixBlock | undefined {
  const { rows, outputs, inner, channels, gated = false } = product;
  const groups = (cut: Cut) => ceilDiv(rows, cut.rows) * ceilDiv(outputs, cut.columns);
  const share = (cut: Cut, most: number): MatrixBlock => {
    const splits = gated ? 1 : Math.min(16, Math.floor(most / groups(cut)), Math.floor(inner / leastShare));
    return { ...cut, splits: Math.max(1, splits) };
  };
  const large = groups(cuts.large) >= wanted / 2 ? { ...cuts.large, splits: 1 } : share(cuts.large, wanted);
  const lone = { ...cuts.lone, splits: large.splits };
  const broad = { ...cuts.broad, splits: 1 };
  const small = share(cuts.small, wantedSmall);
  // More subgroups hide the beginning and the end of short products, where these are not gated: those end with twice the
  // work, and were faster in large blocks where they are short, in lone ones where they are long.
  const isFew = groups(cuts.large) * large.splits < 200 || (gated ? inner > shortInner : inner <= shortInner);
  const isBroad = outputs % 160 === 0 && groups(cuts.broad) >= (outputs % 128 === 0 ? wanted : 96);
  const wishes = rows <= 192 ? [small] : [...(isBroad ? [broad] : []), ...(isFew ? [lone] : []), large, small];
  return wishes.find((block) => suitsUnits(block, units, channels, gated));
}

/** Whether the matrix form takes products of channels in this type: the smallest block, which serves any rows, suits. */
export const takesProducts = (
  units: MatrixUnits | undefined,
  channels: number,
  outputs: number,
  dtype: DType,
  gated = false,
): boolean =>
  units !== undefined && dtype === "f16" && outputs % 4 === 0 && suitsUnits(cuts.small, units, channels, gated);
