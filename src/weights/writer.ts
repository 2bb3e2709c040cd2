import { invariant } from "../core/invariant.js";
import { cast, castType, type FloatType } from "./cast.js";
import { quote } from "./oneLine.js";
import type { StoredTensor } from "./safetensors.js";
import { type StoredType, storedBits } from "./storedType.js";
import { type StreamOptions, streamTensors } from "./stream.js";

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
  const { header, places, size } = layOut(sorted, metadata);
  const out = new Uint8Array(size);
  out.set(header);
  sorted.forEach(({ name, dtype, shape, bytes }, i) => {
    const expected = (i + 1 < places.length ? places[i + 1]! : size) - places[i]!;
    invariant(
      bytes.byteLength === expected,
      `tensor ${quote(name)}: ${dtype} of shape [${shape.join(", ")}] takes ${expected} bytes, got ${bytes.byteLength}`,
    );
    out.set(bytes, places[i]!);
  });
  return out;
}

/** Some bytes of a file, and where they belong in it. */
export interface FilePiece {
  readonly position: number;
  readonly bytes: Uint8Array;
  /** How many bytes were read for it. */
  readonly read: number;
}

export interface StreamOutOptions extends StreamOptions {
  /** What floating tensors become; all stay as they are when absent. */
  readonly dtype?: FloatType;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * A safetensors file in pieces, never held as a whole: first its header, then the tensors in the order in which they are
 * read best, each piece with its place. In the file they lie in the order given. Fails as {@link cast} and the sources do.
 */
export async function* streamSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  options: StreamOutOptions = {},
): AsyncGenerator<FilePiece, void, void> {
  const { dtype: to, metadata, ...streaming } = options;
  // Copies, since one stored tensor may stand under several names.
  const sources = [...tensors].map(([name, tensor]) => ({ ...tensor, name }));
  const targets = sources.map(({ name, dtype, shape }) => ({ name, shape, dtype: castType(dtype, to) }));
  const { header, places } = layOut(targets, metadata);
  const slots = new Map<StoredTensor, { place: number; dtype: StoredType }>();
  sources.forEach((tensor, i) => {
    slots.set(tensor, { place: places[i]!, dtype: targets[i]!.dtype });
  });
  yield { position: 0, bytes: header, read: 0 };
  for await (const { tensor, offset, bytes } of streamTensors(sources, streaming)) {
    const { place, dtype } = slots.get(tensor)!;
    const position = place + (offset * storedBits[dtype]) / storedBits[tensor.dtype];
    yield { position, bytes: cast(bytes, tensor.dtype, dtype, tensor.name), read: bytes.byteLength };
  }
}

interface Layout {
  /** Everything before the first tensor. */
  readonly header: Uint8Array;
  /** First byte of each tensor in the file. */
  readonly places: readonly number[];
  readonly size: number;
}

/** The header for tensors that lie in the order given. Fails, naming the tensor, where a name or a shape is impossible. */
function layOut(
  tensors: readonly Pick<TensorToWrite, "name" | "dtype" | "shape">[],
  metadata?: Readonly<Record<string, string>>,
): Layout {
  const entries: string[] = metadata ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  const names = new Set(["__metadata__"]);
  const offsets: number[] = [];
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    const tensor = `tensor ${quote(name)}`;
    invariant(!names.has(name), `${tensor}: the name is taken`);
    names.add(name);
    invariant(
      shape.every((axis) => Number.isSafeInteger(axis) && axis >= 0),
      `${tensor}: expected integers of at least 0 for its shape, got [${shape.join(", ")}]`,
    );
    const end = at + (shape.reduce((product, axis) => product * axis, 1) * storedBits[dtype]) / 8;
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [at, end] })}`);
    offsets.push(at);
    at = end;
  }
  const json = encoder.encode(`{${entries.join(",")}}`);
  const headerBytes = Math.ceil(json.byteLength / 8) * 8;
  const header = new Uint8Array(8 + headerBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerBytes), true);
  header.set(json, 8);
  return { header, places: offsets.map((offset) => header.byteLength + offset), size: header.byteLength + at };
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
