import { fromBfloat16, fromHalf } from "../core/half.js";
import { invariant, WebldmError } from "../core/invariant.js";
import { type StoredType, storedBits } from "./storedType.js";

type Reader = (view: DataView, at: number) => number | bigint;

const readers: Readonly<Partial<Record<StoredType, Reader>>> = {
  BOOL: (view, at) => (view.getUint8(at) ? 1 : 0),
  U8: (view, at) => view.getUint8(at),
  I8: (view, at) => view.getInt8(at),
  U16: (view, at) => view.getUint16(at, true),
  I16: (view, at) => view.getInt16(at, true),
  U32: (view, at) => view.getUint32(at, true),
  I32: (view, at) => view.getInt32(at, true),
  U64: (view, at) => view.getBigUint64(at, true),
  I64: (view, at) => view.getBigInt64(at, true),
  F16: (view, at) => fromHalf(view.getUint16(at, true)),
  BF16: (view, at) => fromBfloat16(view.getUint16(at, true)),
  F32: (view, at) => view.getFloat32(at, true),
  F64: (view, at) => view.getFloat64(at, true),
  F8_E5M2: (view, at) => fromHalf(view.getUint8(at) << 8), // the upper half of a binary16
  F8_E4M3: (view, at) => fromE4M3(view.getUint8(at)),
  F8_E8M0: (view, at) => (view.getUint8(at) === 0xff ? Number.NaN : 2 ** (view.getUint8(at) - 127)),
  F8_E4M3FNUZ: (view, at) => fromUnsignedZero(view.getUint8(at), 3),
  F8_E5M2FNUZ: (view, at) => fromUnsignedZero(view.getUint8(at), 2),
};

/**
 * Numbers behind the bytes of a stored tensor, rounded to float32 where they have more digits. On the CPU, for tests and
 * tools. Fails for complex numbers and for types of less than a byte, and where the bytes are no whole elements.
 */
export function toFloat32(bytes: Uint8Array, dtype: StoredType): Float32Array<ArrayBuffer> {
  const { count, read } = elements(bytes, dtype);
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) out[i] = Number(read(i));
  return out;
}

/** Integers behind the bytes of a stored tensor of any type. Fails at a value that is not one, or beyond 2^53. */
export function toIntegers(bytes: Uint8Array, dtype: StoredType): number[] {
  const { count, read } = elements(bytes, dtype);
  return Array.from({ length: count }, (_, i) => {
    const value = read(i);
    const result = Number(value);
    invariant(
      Number.isSafeInteger(result),
      () => `${dtype} element ${i}: expected an integer within 2^53, got ${value.toString()}`,
    );
    return result;
  });
}

function elements(bytes: Uint8Array, dtype: StoredType): { count: number; read: (i: number) => number | bigint } {
  const reader = readers[dtype];
  if (!reader) throw new WebldmError(`stored type ${dtype} is not supported, expected real numbers of whole bytes`);
  const size = storedBits[dtype] / 8;
  const count = bytes.byteLength / size;
  invariant(Number.isInteger(count), `${dtype}: expected a multiple of ${size} bytes, got ${bytes.byteLength}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { count, read: (i) => reader(view, i * size) };
}

/** 4 exponent bits of bias 7, 3 mantissa bits, no infinity; only all ones is not a number (OCP FP8). */
function fromE4M3(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  if ((bits & 0x7f) === 0x7f) return Number.NaN;
  return sign * (exponent ? (1 + mantissa / 8) * 2 ** (exponent - 7) : mantissa * 2 ** -9);
}

/** The variants without infinity and negative zero, whose bits stand for not-a-number; the bias is one larger. */
function fromUnsignedZero(bits: number, mantissaBits: 2 | 3): number {
  if (bits === 0x80) return Number.NaN;
  const sign = bits & 0x80 ? -1 : 1;
  const bias = mantissaBits === 3 ? 8 : 16;
  const exponent = (bits & 0x7f) >> mantissaBits;
  const fraction = (bits & ((1 << mantissaBits) - 1)) / (1 << mantissaBits);
  return sign * (exponent ? (1 + fraction) * 2 ** (exponent - bias) : fraction * 2 ** (1 - bias));
}
