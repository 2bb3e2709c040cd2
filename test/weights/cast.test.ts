import { describe, expect, it } from "vitest";
import { cast, castType } from "../../src/weights/cast.js";
import { toFloat32 } from "../../src/weights/decode.js";
import type { StoredType } from "../../src/weights/safetensors.js";

const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const f64 = (...values: number[]) => new Uint8Array(Float64Array.from(values).buffer);
const halves = (...bits: number[]) => new Uint8Array(Uint16Array.from(bits).buffer);
const numbers = (bytes: Uint8Array, dtype: StoredType) => [...toFloat32(bytes, dtype)];

describe("casting", () => {
  it("changes floating types only", () => {
    for (const type of ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"] as const)
      expect(castType(type, "F16")).toBe("F16");
    for (const type of ["BOOL", "U8", "I8", "I16", "I32", "I64", "U64", "C64", "F8_E8M0", "F4"] as const)
      expect(castType(type, "F16")).toBe(type);
    expect(castType("F32", undefined)).toBe("F32");
  });

  it("keeps the bytes where the type stays, whatever they are", () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => 255 - i);
    expect(cast(bytes, "F16", "F16", "w")).toBe(bytes);
  });

  it.each<[string, StoredType, Uint8Array, "F32" | "F16" | "BF16", number[]]>([
    ["exact numbers to F16", "F32", f32(0, -0, 1, -2.5, 65504), "F16", [0, -0, 1, -2.5, 65504]],
    ["ties to even in F16", "F32", f32(2049, 2051, 2049.001), "F16", [2048, 2052, 2050]],
    ["numbers below all of F16", "F32", f32(1e-8, -6e-8), "F16", [0, -(2 ** -24)]],
    ["numbers below 65520 to F16", "F32", f32(65519), "F16", [65504]],
    [
      "infinity and no number to F16",
      "F32",
      f32(Infinity, -Infinity, Number.NaN),
      "F16",
      [Infinity, -Infinity, Number.NaN],
    ],
    ["exact numbers to BF16", "F32", f32(0, -0, 1, -2.5, 2 ** 100), "BF16", [0, -0, 1, -2.5, 2 ** 100]],
    ["ties to even in BF16", "F32", f32(257, 259, 257.01), "BF16", [256, 260, 258]],
    [
      "infinity and no number to BF16",
      "F32",
      f32(Infinity, -Infinity, Number.NaN),
      "BF16",
      [Infinity, -Infinity, Number.NaN],
    ],
    ["F16 to F32", "F16", halves(0x3c00, 0x0001, 0xfbff), "F32", [1, 2 ** -24, -65504]],
    ["BF16 to F32", "BF16", halves(0x3f80, 0x7f7f), "F32", [1, toFloat32(halves(0x7f7f), "BF16")[0]!]],
    ["BF16 to F16", "BF16", halves(0x3f80, 0x4380), "F16", [1, 256]],
    ["F64 to F32", "F64", f64(1 + 2 ** -24, 1 + 3 * 2 ** -24), "F32", [1, 1 + 2 ** -22]],
    ["F8 to F16", "F8_E4M3", Uint8Array.of(0x38, 0x7e), "F16", [1, 448]],
  ])("%s", (_, from, bytes, to, expected) => {
    expect(numbers(cast(bytes, from, to, "w"), to)).toEqual(expected);
  });

  it("takes bytes at any place", () => {
    const shifted = new Uint8Array(9);
    shifted.set(f32(1.5, -3), 1);
    expect(numbers(cast(shifted.subarray(1), "F32", "F16", "w"), "F16")).toEqual([1.5, -3]);
  });

  it.each<[StoredType, Uint8Array, "F32" | "F16" | "BF16", string]>([
    ["F32", f32(0, 65520), "F16", "holds 65520, which is beyond the range of F16; convert to bf16 or f32"],
    ["F32", f32(-1e5), "F16", "holds -100000, which is beyond the range of F16"],
    ["BF16", halves(0x7f7f), "F16", "beyond the range of F16"],
    ["F32", f32(3.4e38), "BF16", "beyond the range of BF16; convert to f32, or keep its type"],
    ["F64", f64(1e300), "F32", "holds 1e+300, which is beyond the range of F32"],
  ])("refuses what %s holds beyond the range of another, by the tensor's name", (from, bytes, to, message) => {
    const act = () => cast(bytes, from, to, "conv.weight");
    expect(act).toThrow("tensor 'conv.weight' holds ");
    expect(act).toThrow(message);
  });
});
