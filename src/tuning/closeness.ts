import type { DType } from "../core/dtype.js";
import { fromHalf } from "../core/half.js";

/** Values that are compared at most: spread over all, at a distance that no size of a tile divides. */
const most = 1 << 20;

/**
 * Squared error by the square of the values. Tests hold each form to a quarter of it against float64, so that any two are
 * this close.
 */
export const tolerance: Readonly<Record<DType, number>> = { f32: 4e-10, f16: 4e-6, u32: 0 };

/** Whether results of two forms, as their bytes, are the same but for rounding. */
export function close(actual: Uint8Array, expected: Uint8Array, dtype: DType, limit = tolerance[dtype]): boolean {
  const [a, b] = [reader(actual, dtype), reader(expected, dtype)];
  if (a.length !== b.length) return false;
  const step = Math.ceil(a.length / most) | 1;
  let error = 0;
  let power = 0;
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i += step) {
    const value = b.at(i);
    const difference = Math.abs(a.at(i) - value);
    if (!Number.isFinite(difference)) return false;
    error += difference ** 2;
    power += value ** 2;
    worst = Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(value));
  }
  // Of all together, and of each loosely: a few wrong values among many right ones make no large sum.
  return error <= limit * power && worst <= 30 * Math.sqrt(limit) * largest;
}

function reader({ buffer, byteOffset, byteLength }: Uint8Array, dtype: DType) {
  if (dtype === "f16") {
    const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    return { length: halves.length, at: (i: number) => fromHalf(halves[i]!) };
  }
  const kind = dtype === "u32" ? Uint32Array<ArrayBufferLike> : Float32Array<ArrayBufferLike>;
  const numbers = new kind(buffer, byteOffset, byteLength / 4);
  return { length: numbers.length, at: (i: number) => numbers[i]! };
}
