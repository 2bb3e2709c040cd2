import { dtypeBytes } from "../core/dtype.js";
import { ceilDiv, sizeOf } from "../core/shape.js";
import { bindingAlignment, type Graph, type Tensor, type Window } from "../graph/graph.js";

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** How many rows of `rowBytes` it takes for a row to start at a multiple of the binding alignment again. */
export const rowAlignment = (rowBytes: number): number => bindingAlignment / gcd(bindingAlignment, rowBytes);

/**
 * Splits `rows` into bands that start at bindable offsets and hold at most `most` rows, except that a band is never
 * smaller than the alignment asks for.
 */
export function splitRows(rows: number, rowBytes: number, most: number): { first: number; count: number }[] {
  if (rows <= most) return [{ first: 0, count: rows }];
  const step = rowAlignment(rowBytes);
  const size = Math.max(step, Math.floor(most / step) * step);
  return Array.from({ length: ceilDiv(rows, size) }, (_, i) => ({
    first: i * size,
    count: Math.min(size, rows - i * size),
  }));
}

/** A tensor as rows of `width` elements. */
export interface Rows {
  readonly tensor: Tensor;
  readonly width: number;
}

/**
 * Bands of rows in which no tensor's part exceeds a binding: one band where everything fits. `most` limits the rows of a
 * band for other reasons, such as the grid.
 */
export function rowBands(graph: Graph, operands: readonly Rows[], most = Number.POSITIVE_INFINITY) {
  const { tensor, width } = operands[0]!;
  const rows = sizeOf(tensor.shape) / width;
  const bytes = operands.map((operand) => operand.width * dtypeBytes[operand.tensor.dtype]);
  const limit = Math.min(most, ...bytes.map((rowBytes) => Math.floor(graph.maxBinding / rowBytes)));
  // The alignments are powers of two: rows that suit the narrowest suit all.
  const narrowest = bytes.reduce((a, b) => (rowAlignment(a) >= rowAlignment(b) ? a : b));
  return splitRows(rows, narrowest, limit);
}

/** The part of a tensor that a band covers. */
export const bandOf = ({ tensor, width }: Rows, { first, count }: { first: number; count: number }): Window => ({
  tensor,
  offset: first * width,
  length: count * width,
});
