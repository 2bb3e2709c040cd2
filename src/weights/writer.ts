import { invariant } from "../core/invariant.js";
import { quote } from "./oneLine.js";
import { type StoredType, storedBits } from "./storedType.js";

/** A tensor to be written: row-major, little-endian. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

const order = Object.keys(storedBits);
const encoder = new TextEncoder();

/**
 * A safetensors file, byte for byte as the reference implementation writes it: widest element types first, then by name,
 * the header padded with spaces to a multiple of 8 bytes. For tests and tools: the whole file is held in memory.
 * Fails, naming the tensor, where a name occurs twice or the bytes are not those of the shape.
 */
export function writeSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const sorted = [...tensors].sort((a, b) => rank(b) - rank(a) || compareCodePoints(a.name, b.name));
  const header: string[] = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const names = new Set(["__metadata__"]);
  let at = 0;
  for (const { name, dtype, shape, bytes } of sorted) {
    const tensor = `tensor ${quote(name)}`;
    invariant(!names.has(name), `${tensor}: the name is taken`);
    names.add(name);
    invariant(
      shape.every((axis) => Number.isSafeInteger(axis) && axis >= 0),
      `${tensor}: expected integers of at least 0 for its shape, got [${shape.join(", ")}]`,
    );
    const expected = (shape.reduce((product, axis) => product * axis, 1) * storedBits[dtype]) / 8;
    invariant(
      bytes.byteLength === expected,
      `${tensor}: ${dtype} of shape [${shape.join(", ")}] takes ${expected} bytes, got ${bytes.byteLength}`,
    );
    const end = at + bytes.byteLength;
    header.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [at, end] })}`);
    at = end;
  }

  const json = encoder.encode(`{${header.join(",")}}`);
  const headerBytes = Math.ceil(json.byteLength / 8) * 8;
  const out = new Uint8Array(8 + headerBytes + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(headerBytes), true);
  out.fill(0x20, 8, 8 + headerBytes);
  out.set(json, 8);
  let to = 8 + headerBytes;
  for (const { bytes } of sorted) {
    out.set(bytes, to);
    to += bytes.byteLength;
  }
  return out;
}

const rank = (tensor: TensorToWrite): number => order.indexOf(tensor.dtype);

/** Order of the UTF-8 bytes, which JavaScript's own order of strings is not beyond U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const [left, right] = [encoder.encode(a), encoder.encode(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i]! - right[i]!;
  }
  return left.length - right.length;
}
