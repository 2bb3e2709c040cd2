import { toHalf } from "../core/half.js";
import { invariant } from "../core/invariant.js";
import { toFloat32 } from "./decode.js";
import { quote } from "./oneLine.js";
import { type StoredType, storedBits } from "./storedType.js";

/** Types that weights can be converted to. */
export type FloatType = "F32" | "F16" | "BF16";

const floats: readonly StoredType[] = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"];

/** What a tensor's type becomes: only floating ones change. */
export const castType = (from: StoredType, to: FloatType | undefined): StoredType =>
  to !== undefined && floats.includes(from) ? to : from;

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/**
 * Elements in another floating type, rounded to nearest, ties to even; the bytes themselves where the type stays.
 * @throws WebldmError that names the tensor where a finite number is beyond the range of the new type: making it
 * infinite or cutting it off would both give another model without a word
 */
export function cast(bytes: Uint8Array, from: StoredType, to: StoredType, tensor: string): Uint8Array {
  if (from === to) return bytes;
  const values = numbers(bytes, from);
  const width = storedBits[to] / 8;
  const out = new Uint8Array(values.length * width);
  const words = new Uint16Array(out.buffer, 0, width === 2 ? values.length : 0);
  const singles = new Float32Array(out.buffer, 0, width === 4 ? values.length : 0);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    let isInfinite: boolean;
    if (to === "F16") {
      words[i] = toHalf(value);
      isInfinite = (words[i]! & 0x7fff) === 0x7c00;
    } else if (to === "BF16") {
      words[i] = toBfloat16(value);
      isInfinite = (words[i]! & 0x7fff) === 0x7f80;
    } else {
      singles[i] = value;
      isInfinite = Math.abs(singles[i]!) === Number.POSITIVE_INFINITY;
    }
    if (isInfinite) {
      const wider = to === "F16" ? "bf16 or f32" : "f32, or keep its type";
      invariant(
        Math.abs(value) === Number.POSITIVE_INFINITY,
        () => `tensor ${quote(tensor)} holds ${value}, which is beyond the range of ${to}; convert to ${wider}`,
      );
    }
  }
  return out;
}

function numbers(bytes: Uint8Array, dtype: StoredType): Float32Array | Float64Array {
  if (dtype === "F64") return new Float64Array(bytes.slice().buffer);
  if (dtype !== "F32") return toFloat32(bytes, dtype);
  const { buffer, byteOffset, byteLength } = atWord(bytes);
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

/** Bytes that begin where floats may. */
const atWord = (bytes: Uint8Array): Uint8Array => (bytes.byteOffset % 4 === 0 ? bytes : bytes.slice());

/** bfloat16 bits of a number: the upper half of its binary32, rounded to nearest, ties to even. */
function toBfloat16(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // not a number stays none
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
