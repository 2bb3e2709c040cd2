import { WebldmError } from "../core/invariant.js";
import type { ByteSource } from "./byteSource.js";
import { oneLine, quote } from "./oneLine.js";
import { isStoredType, type StoredType, storedBits } from "./storedType.js";
import { type Json, JsonError, parseStrictJson } from "./strictJson.js";

export type { StoredType } from "./storedType.js";

/** A tensor in a file, not read yet: row-major, little-endian, at no particular alignment. */
export interface StoredTensor {
  /** As in the file. */
  readonly name: string;
  /** As in the file. */
  readonly dtype: StoredType;
  /** `[]` is a scalar; a zero makes an empty tensor. */
  readonly shape: readonly number[];
  /** Where its bytes are. */
  readonly source: ByteSource;
  /** First byte in the source. */
  readonly begin: number;
  /** First byte in the source that is not the tensor's any more. */
  readonly end: number;
}

/** What the header of a safetensors file says. */
export interface Safetensors {
  /** By name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** `__metadata__` of the header. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Names of the ways a file can break the format, after the errors of the reference implementation. */
export type SafetensorsRule =
  | "HeaderTooSmall"
  | "HeaderTooLarge"
  | "InvalidHeaderLength"
  | "InvalidHeader"
  | "InvalidHeaderStart"
  | "InvalidHeaderDeserialization"
  | "InvalidOffset"
  | "TensorInvalidInfo"
  | "MisalignedSlice"
  | "ValidationOverflow"
  | "MetadataIncompleteBuffer";

/** Largest header in bytes that the format allows. */
export const largestHeader = 100_000_000;

const largestSize = 2n ** 64n - 1n; // what the reference counts in

interface Entry {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly bigint[];
  readonly begin: bigint;
  readonly end: bigint;
}

/**
 * Reads the header of a safetensors file, none of the tensors, and checks every rule of the format. A message names the
 * file, the rule (a `SafetensorsRule`) and the tensor.
 */
export async function openSafetensors(source: ByteSource, signal?: AbortSignal): Promise<Safetensors> {
  const fail: Fail = (rule, why) => {
    throw new WebldmError(`${source.name}: ${rule}: ${why}`);
  };
  const text = await readHeader(source, fail, signal);
  const dataBegin = 8 + text.bytes;
  const { entries, metadata } = parseHeader(text.header, fail);
  checkLayout(entries, BigInt(source.size - dataBegin), fail);
  const tensors = new Map(
    entries.map(({ name, dtype, shape, begin, end }): [string, StoredTensor] => [
      name,
      { name, dtype, shape: shape.map(Number), source, begin: dataBegin + Number(begin), end: dataBegin + Number(end) },
    ]),
  );
  return { tensors, metadata };
}

type Fail = (rule: SafetensorsRule, why: string) => never;

async function readHeader(
  source: ByteSource,
  fail: Fail,
  signal?: AbortSignal,
): Promise<{ bytes: number; header: string }> {
  const { size } = source;
  if (size < 8) fail("HeaderTooSmall", `expected at least 8 bytes, got ${size}`);
  const prefix = await source.read(0, 8, signal);
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const bytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (bytes > largestHeader) {
    fail(
      "HeaderTooLarge",
      `expected a header of at most ${largestHeader} bytes, got ${bytes} (is it a safetensors file?)`,
    );
  }
  if (8 + bytes > size) {
    fail("InvalidHeaderLength", `the header of ${bytes} bytes does not fit into the file of ${size} bytes`);
  }
  const raw = await source.read(8, 8 + bytes, signal);
  let header: string;
  try {
    header = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return fail("InvalidHeader", "expected the header to be UTF-8");
  }
  if (!header.startsWith("{")) {
    fail("InvalidHeaderStart", `expected the header to begin with '{', got ${raw[0] ?? "nothing"}`);
  }
  return { bytes, header };
}

/** Tensors in the order of their bytes, and the metadata. Checks the form of the header only. */
function parseHeader(text: string, failRule: Fail): { entries: Entry[]; metadata: Map<string, string> } {
  const fail = (why: string): never => failRule("InvalidHeaderDeserialization", why);
  let header: Json;
  try {
    header = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return fail(oneLine(error));
  }
  if (!(header instanceof Map)) return fail("expected an object");

  const entries: Entry[] = [];
  const metadata = new Map<string, string>();
  for (const [name, value] of header) {
    if (!(value instanceof Map)) return fail(`expected ${quote(name)} to be an object`);
    if (name === "__metadata__") {
      for (const [key, item] of value) {
        if (typeof item !== "string") return fail(`expected the metadata ${quote(key)} to be a string`);
        metadata.set(key, item);
      }
    } else {
      entries.push(parseEntry(name, value, fail));
    }
  }
  entries.sort((a, b) => compare(a.begin, b.begin) || compare(a.end, b.end));
  return { entries, metadata };
}

function parseEntry(name: string, value: Map<string, Json>, fail: (why: string) => never): Entry {
  const tensor = `tensor ${quote(name)}`;
  const dtype = value.get("dtype");
  if (typeof dtype !== "string") return fail(`${tensor}: expected dtype to be a string`);
  if (!isStoredType(dtype)) return fail(`${tensor}: unknown dtype ${quote(dtype)}`);
  const shape = value.get("shape");
  if (!isSizes(shape)) return fail(`${tensor}: expected shape to be an array of unsigned 64-bit integers`);
  const offsets = value.get("data_offsets");
  if (!isSizes(offsets) || offsets.length !== 2) {
    return fail(`${tensor}: expected data_offsets to be two unsigned 64-bit integers`);
  }
  return { name, dtype, shape, begin: offsets[0]!, end: offsets[1]! };
}

/** The tensors must cover the data without a hole, an overlap or a rest, each with the bytes its shape takes. */
function checkLayout(entries: readonly Entry[], dataBytes: bigint, fail: Fail): void {
  let at = 0n;
  for (const { name, dtype, shape, begin, end } of entries) {
    const tensor = `tensor ${quote(name)}`;
    if (begin !== at) fail("InvalidOffset", `${tensor} begins at byte ${begin} of the data, expected ${at}`);
    if (end < begin) fail("InvalidOffset", `${tensor} ends at byte ${end} of the data, before its begin ${begin}`);
    at = end;
    let count = 1n;
    for (const axis of shape) {
      count *= axis;
      if (count > largestSize) fail("ValidationOverflow", `${tensor}: its shape ${showSizes(shape)} is too large`);
    }
    const bits = count * BigInt(storedBits[dtype]);
    // An axis beyond 2^53 passes the reference when another one is zero, but no number here could hold it.
    if (bits > largestSize || shape.some((axis) => axis > BigInt(Number.MAX_SAFE_INTEGER))) {
      fail("ValidationOverflow", `${tensor}: its shape ${showSizes(shape)} is too large`);
    }
    if (bits % 8n !== 0n) fail("MisalignedSlice", `${tensor}: its ${bits} bits are not whole bytes`);
    if (bits / 8n !== end - begin) {
      const expected = `${dtype} of shape ${showSizes(shape)} takes ${bits / 8n} bytes`;
      fail("TensorInvalidInfo", `${tensor}: ${expected}, got ${end - begin}`);
    }
  }
  if (at !== dataBytes) {
    fail("MetadataIncompleteBuffer", `the tensors take ${at} bytes, the file holds ${dataBytes} bytes of data`);
  }
}

function isSizes(value: Json | undefined): value is bigint[] {
  return Array.isArray(value) && value.every((item) => typeof item === "bigint" && item <= largestSize);
}

const showSizes = (sizes: readonly bigint[]): string =>
  sizes.length > 12 ? `[${sizes.slice(0, 12).join(", ")}, ...]` : `[${sizes.join(", ")}]`;

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
