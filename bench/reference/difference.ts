import { invariant } from "../../src/core/invariant.js";

/** How far values are from a reference. */
export interface Difference {
  /** Norm of the difference over the reference's norm. */
  readonly relative: number;
  /** Largest difference over the reference's largest magnitude. */
  readonly largest: number;
  /** dB; the peak is the reference's maximum less its minimum. Infinite where nothing differs. */
  readonly psnr: number;
  /** Standard deviation of the reference over that peak: near 0, the picture is flat and its PSNR says nothing. */
  readonly spread: number;
}

export function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): Difference {
  const count = expected.length;
  invariant(actual.length === count && count > 0, `got ${actual.length} values, the reference has ${count}`);
  let [low, high, sum, squares, errors, worst, top] = [
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    0,
    0,
    0,
    0,
  ];
  for (let i = 0; i < count; i++) {
    const x = expected[i]!;
    const error = Math.abs(actual[i]! - x);
    low = Math.min(low, x);
    high = Math.max(high, x);
    top = Math.max(top, Math.abs(x));
    worst = Math.max(worst, error); // NaN stays
    sum += x;
    squares += x * x;
    errors += error * error;
  }
  const peak = high - low;
  const mean = sum / count;
  return {
    relative: Math.sqrt(errors / squares),
    largest: worst / top,
    psnr: 10 * Math.log10((peak * peak) / (errors / count)),
    spread: Math.sqrt(Math.max(0, squares / count - mean * mean)) / peak,
  };
}
