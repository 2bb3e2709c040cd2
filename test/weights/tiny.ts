import { type ByteSource, fromBytes } from "../../src/weights/source.js";
import { type TensorToWrite, writeSafetensors } from "../../src/weights/writer.js";

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A safetensors file with exactly this header text and so many bytes of data. */
export function rawFile(header: string | Uint8Array, dataBytes = 0): Uint8Array<ArrayBuffer> {
  const bytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const out = new Uint8Array(8 + bytes.length + dataBytes);
  new DataView(out.buffer).setBigUint64(0, BigInt(bytes.length), true);
  out.set(bytes, 8);
  return out;
}

export const rawSource = (header: string | Uint8Array, dataBytes = 0): ByteSource =>
  fromBytes(rawFile(header, dataBytes), "x.safetensors");

/** One tensor's JSON. */
export const entry = (
  name: string,
  dtype: string,
  shape: string,
  begin: number | string,
  end: number | string,
): string => `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;

/** Tensors of many sizes, some empty, some odd, with bytes that tell them apart. */
export function sampleTensors(): TensorToWrite[] {
  const next = seeded(1);
  const bytes = (n: number) => Uint8Array.from({ length: n }, () => Math.floor(next() * 256));
  return [
    { name: "scalar", dtype: "F32", shape: [], bytes: bytes(4) },
    { name: "empty", dtype: "F32", shape: [0, 3], bytes: bytes(0) },
    { name: "matrix", dtype: "F16", shape: [50, 30], bytes: bytes(3000) },
    { name: "odd", dtype: "U8", shape: [7], bytes: bytes(7) },
    { name: "odder", dtype: "I8", shape: [3, 1], bytes: bytes(3) },
    { name: "long", dtype: "I64", shape: [5], bytes: bytes(40) },
    { name: "big", dtype: "BF16", shape: [2, 2, 1000], bytes: bytes(8000) },
  ];
}

export const sampleFile = (): Uint8Array<ArrayBuffer> => writeSafetensors(sampleTensors(), { format: "pt" });

/** The message of the error a promise rejects with, after its kind. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return "no error";
}
