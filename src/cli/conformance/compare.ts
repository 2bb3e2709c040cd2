import { sameShape, showShape } from "../../core/shape.js";
import { gainLimit, type Limit } from "./limits.js";
import type { Values } from "./values.js";

/** One comparison of a result with the stored one. */
export interface Check {
  readonly tensor: string;
  readonly metric: "max" | "l2" | "gain" | "exact";
  /** The deviation; for `exact` the number of elements that differ. NaN: nothing to compare, or not a number. */
  readonly value: number;
  readonly limit: number;
  readonly reason?: string;
}

export type Precision = "f32" | "f16";

export const passes = ({ value, limit }: Check): boolean => value <= limit;

/** How much of its limit a check uses up; beyond 1 it fails. */
export const severity = (check: Check): number => {
  if (Number.isNaN(check.value)) return Number.POSITIVE_INFINITY;
  if (check.limit > 0) return check.value / check.limit;
  return check.value > 0 ? Number.MAX_VALUE : 0;
};

/** The check that uses up most of its limit. */
export const worst = (checks: readonly Check[]): Check | undefined =>
  checks.reduce<Check | undefined>((a, b) => (a && severity(a) >= severity(b) ? a : b), undefined);

/** Compares float results by the metric of the precision; in f16 the overall gain as well. */
export function compareFloats(
  tensor: string,
  actual: Values,
  expected: Values,
  limit: Limit,
  mode: Precision,
): Check[] {
  const precision = limit.f16 === undefined ? "f32" : mode;
  const most = limit[precision]!;
  const metric = precision === "f32" ? "max" : "l2";
  const broken = (reason: string): Check[] => [{ tensor, metric, value: Number.NaN, limit: most, reason }];
  if (!sameShape(actual.shape, expected.shape)) {
    return broken(`shape is ${showShape(actual.shape)}, expected ${showShape(expected.shape)}`);
  }
  let largestError = 0;
  let largest = 0;
  let squaredError = 0;
  let squared = 0;
  let product = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const a = actual.data[i]!;
    const b = expected.data[i]!;
    if (!Number.isFinite(a)) return broken(`element ${i} is ${a}`);
    if (!Number.isFinite(b)) return broken(`element ${i} of the reference is ${b}`);
    largestError = Math.max(largestError, Math.abs(a - b));
    largest = Math.max(largest, Math.abs(b));
    squaredError += (a - b) ** 2;
    squared += b * b;
    product += a * b;
  }
  if (precision === "f32") return [{ tensor, metric, value: ratio(largestError, largest), limit: most }];
  const gain = squared > 0 ? Math.abs(product / squared - 1) : 0;
  return [
    { tensor, metric, value: ratio(Math.sqrt(squaredError), Math.sqrt(squared)), limit: most },
    { tensor, metric: "gain", value: gain, limit: gainLimit },
  ];
}

/** Compares results that must be the same, not-a-number included: the value counts the elements that differ. */
export function compareExactly(tensor: string, actual: Values, expected: Values): Check {
  const broken = { tensor, metric: "exact", value: Number.NaN, limit: 0 } as const;
  if (!sameShape(actual.shape, expected.shape)) {
    return { ...broken, reason: `shape is ${showShape(actual.shape)}, expected ${showShape(expected.shape)}` };
  }
  let differing = 0;
  let first = "";
  for (let i = 0; i < expected.data.length; i++) {
    const a = actual.data[i]!;
    const b = expected.data[i]!;
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (differing++ === 0) first = `element ${i} is ${a}, expected ${b}`;
  }
  return { ...broken, value: differing, ...(first ? { reason: first } : {}) };
}

/** Where the reference is zero throughout, the error itself. */
const ratio = (error: number, size: number): number => (size > 0 ? error / size : error);
