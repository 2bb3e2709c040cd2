import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { toFloat32, toIntegers } from "../../src/weights/decode.js";
import { fromFile } from "../../src/weights/node.js";
import { openSafetensors } from "../../src/weights/safetensors.js";

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const all = Uint8Array.from({ length: 256 }, (_, i) => i);

describe("decoding stored tensors", () => {
  it("reads every type of whole bytes", () => {
    const numbers = [1, 0, 100, 7];
    const arrays = {
      U8: Uint8Array,
      I8: Int8Array,
      U16: Uint16Array,
      I16: Int16Array,
      U32: Uint32Array,
      I32: Int32Array,
      F32: Float32Array,
      F64: Float64Array,
    } as const;
    for (const [dtype, Kind] of Object.entries(arrays)) {
      const bytes = bytesOf(Kind.from(numbers));
      expect([...toFloat32(bytes, dtype as keyof typeof arrays)]).toEqual(numbers);
      expect(toIntegers(bytes, dtype as keyof typeof arrays)).toEqual(numbers);
    }
    expect(toIntegers(bytesOf(BigInt64Array.of(-5n, 2n ** 53n - 1n)), "I64")).toEqual([-5, 2 ** 53 - 1]);
    expect(toIntegers(bytesOf(BigUint64Array.of(3n)), "U64")).toEqual([3]);
    expect([...toFloat32(Uint8Array.of(0, 1, 2), "BOOL")]).toEqual([0, 1, 1]);
    expect([...toFloat32(bytesOf(Uint16Array.of(0x3c00, 0xc000, 0x0001)), "F16")]).toEqual([1, -2, 2 ** -24]);
    expect([...toFloat32(bytesOf(Uint16Array.of(0x3f80, 0xc000)), "BF16")]).toEqual([1, -2]);
  });

  it("needs no alignment", () => {
    const shifted = new Uint8Array(13);
    shifted.set(bytesOf(Float32Array.of(1.5, -2, 3)), 1);
    expect([...toFloat32(shifted.subarray(1), "F32")]).toEqual([1.5, -2, 3]);
  });

  it("knows the limits of the 8-bit floats", () => {
    const largest = (dtype: Parameters<typeof toFloat32>[1]) =>
      Math.max(...[...toFloat32(all, dtype)].filter((x) => Number.isFinite(x)));
    const smallest = (dtype: Parameters<typeof toFloat32>[1]) =>
      Math.min(...[...toFloat32(all, dtype)].filter((x) => x > 0));
    const notNumbers = (dtype: Parameters<typeof toFloat32>[1]) =>
      [...toFloat32(all, dtype)].filter(Number.isNaN).length;
    expect([largest("F8_E4M3"), smallest("F8_E4M3"), notNumbers("F8_E4M3")]).toEqual([448, 2 ** -9, 2]);
    expect([largest("F8_E5M2"), smallest("F8_E5M2"), notNumbers("F8_E5M2")]).toEqual([57344, 2 ** -16, 6]);
    expect([largest("F8_E4M3FNUZ"), smallest("F8_E4M3FNUZ"), notNumbers("F8_E4M3FNUZ")]).toEqual([240, 2 ** -10, 1]);
    expect([largest("F8_E5M2FNUZ"), smallest("F8_E5M2FNUZ"), notNumbers("F8_E5M2FNUZ")]).toEqual([57344, 2 ** -17, 1]);
    expect([largest("F8_E8M0"), notNumbers("F8_E8M0"), toFloat32(all, "F8_E8M0")[127]]).toEqual([2 ** 127, 1, 1]);
    expect(toFloat32(Uint8Array.of(0x38, 0xb8), "F8_E4M3")).toEqual(Float32Array.of(1, -1));
  });

  it("refuses what it cannot represent", () => {
    expect(() => toFloat32(all, "C64")).toThrow("stored type C64 is not supported");
    expect(() => toFloat32(all, "F4")).toThrow("stored type F4 is not supported");
    expect(() => toFloat32(new Uint8Array(5), "F32")).toThrow("F32: expected a multiple of 4 bytes, got 5");
    expect(() => toIntegers(bytesOf(Float32Array.of(1, 0.5)), "F32")).toThrow(
      "F32 element 1: expected an integer within 2^53, got 0.5",
    );
    expect(() => toIntegers(bytesOf(BigInt64Array.of(2n ** 53n)), "I64")).toThrow("got 9007199254740992");
  });

  const path = new URL("../../../shared/golden/ops/dtypes.safetensors", import.meta.url).pathname;
  it("agrees with the reference", async (context) => {
    if (!existsSync(path)) return context.skip("no references beside the repository");
    const { tensors } = await openSafetensors(await fromFile(path));
    const floats = async (name: string) => {
      const t = tensors.get(name)!;
      return toFloat32(await t.source.read(t.begin, t.end), t.dtype);
    };
    const bits = (array: Float32Array) =>
      [...new Uint32Array(array.buffer)].map((x) => (x & 0x7fffffff) > 0x7f800000 || x);
    expect(bits(await floats("f16"))).toEqual(bits(await floats("f16_as_f32")));
    expect(bits(await floats("bf16"))).toEqual(bits(await floats("bf16_as_f32")));
    expect(bits(await floats("f64"))).toEqual(bits(await floats("f32")));
    expect((await floats("empty_f32")).length).toBe(0);
    expect((await floats("scalar_f32")).length).toBe(1);
    const i64 = tensors.get("i64")!;
    const view = new BigInt64Array((await i64.source.read(i64.begin, i64.end)).slice().buffer);
    const exact = [...view].filter((x) => x > -(2n ** 53n) && x < 2n ** 53n);
    expect(toIntegers(bytesOf(BigInt64Array.from(exact)), "I64")).toEqual(exact.map(Number));
  });
});
