import { ceilDiv } from "../core/shape.js";
import { bindingAlignment } from "../graph/graph.js";

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
