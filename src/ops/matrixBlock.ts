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

/** The slice length of a product over `channels`, or undefined where the channels split into none. */
export const matrixDepth = (channels: number): number | undefined => (channels % 32 === 0 ? 32 : undefined);

/** Bytes of workgroup memory that a block takes. */
export function blockBytes(block: MatrixBlock, { m, n }: MatrixUnits): number {
  const { rows, columns, depth, buffers, acrossRows, acrossColumns } = block;
  const sums = acrossRows * acrossColumns * m * n * 4;
  return buffers * (rows + columns) * (depth + 8) * 2 + sums;
}

/** Blocks that the choice is among; speeds are of products that fill an H100, in TFLOP/s. */
const shapes = {
  /** 251: the largest part of the result a subgroup, so the fewest reads of workgroup memory. */
  large: { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 2, depth: 32 },
  /** 232: twice as many subgroups, which hide more where a core has a single workgroup. */
  lone: { rows: 128, columns: 128, acrossRows: 2, acrossColumns: 4, depth: 64 },
  /** For 320 outputs, which 128 do not divide. */
  broad: { rows: 128, columns: 160, acrossRows: 2, acrossColumns: 2, depth: 32 },
  /** 155: for few rows. */
  small: { rows: 64, columns: 64, acrossRows: 2, acrossColumns: 1, depth: 32 },
} as const;

/** Workgroups of a large block that a large GPU runs at once, of two a core; and of a small one. */
const wanted = 264;
const wantedSmall = 480;
/** Length of the inner axis that is worth a workgroup of its own. */
const leastShare = 256;

/** The block for a product of `rows` x `inner` by `inner` x `outputs`; `inner` is gathered by `channels`. */
export function chooseBlock(rows: number, outputs: number, inner: number, channels: number): MatrixBlock {
  const groups = (b: { rows: number; columns: number }) => ceilDiv(rows, b.rows) * ceilDiv(outputs, b.columns);
  const splitsFor = (b: { rows: number; columns: number }, most: number) =>
    Math.max(1, Math.min(16, Math.floor(most / groups(b)), Math.floor(inner / leastShare)));
  if (rows <= 192) return { ...shapes.small, buffers: 1, splits: splitsFor(shapes.small, wantedSmall) };
  if (outputs % 160 === 0 && outputs % 128 !== 0 && groups(shapes.broad) >= 96) {
    return { ...shapes.broad, buffers: 1, splits: 1 };
  }
  const splits = groups(shapes.large) >= 132 ? 1 : splitsFor(shapes.large, wanted);
  const few = groups(shapes.large) * splits < 200 || inner <= 2 * leastShare;
  const shape = few && channels % 64 === 0 ? shapes.lone : shapes.large;
  return { ...shape, buffers: 1, splits };
}
