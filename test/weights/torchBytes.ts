// Bytes as torch.save writes them, put together by hand, so that tests need no Python.
import type { StoredType } from "../../src/weights/storedType.js";

/** Opcodes and texts as Latin-1, numbers as single bytes. */
export function bytesOf(...parts: readonly (string | number | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const pieces = parts.map((part) =>
    typeof part === "string"
      ? Uint8Array.from(part, (c) => c.charCodeAt(0))
      : typeof part === "number"
        ? Uint8Array.of(part)
        : part,
  );
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.byteLength;
  }
  return out;
}

const number = (bytes: number, value: number | bigint): Uint8Array => {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, BigInt(value), true);
  return out.subarray(0, bytes);
};
export const u16 = (value: number): Uint8Array => number(2, value);
export const u32 = (value: number): Uint8Array => number(4, value);
export const u64 = (value: number | bigint): Uint8Array => number(8, value);

/** BINUNICODE. */
export function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return bytesOf("X", u32(bytes.byteLength), bytes);
}

export const int = (value: number): Uint8Array => bytesOf("J", u32(value >>> 0));
export const tuple = (...items: readonly Uint8Array[]): Uint8Array => bytesOf("(", ...items, "t");
export const global = (module: string, name: string): Uint8Array => bytesOf("c", `${module}\n${name}\n`);
export const call = (made: Uint8Array, ...args: readonly Uint8Array[]): Uint8Array =>
  bytesOf(made, tuple(...args), "R");
export const dict = (items: Readonly<Record<string, Uint8Array>>): Uint8Array =>
  bytesOf("}(", ...Object.entries(items).flatMap(([key, value]) => [text(key), value]), "u");
/** A whole pickle of protocol 2. */
export const pickle = (value: Uint8Array): Uint8Array<ArrayBuffer> => bytesOf("\x80\x02", value, ".");

const storages: Partial<Record<StoredType, string>> = {
  F64: "DoubleStorage",
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  I64: "LongStorage",
  I32: "IntStorage",
  I16: "ShortStorage",
  I8: "CharStorage",
  U8: "ByteStorage",
  BOOL: "BoolStorage",
};

/** A tensor in a storage of its own. */
export interface SampleTensor {
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface Window {
  readonly dtype?: StoredType;
  /** Elements of the storage. */
  readonly total: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
}

/** The call that makes a tensor from a window of a storage. */
export function tensorCall(key: string, window: Window): Uint8Array {
  const { dtype = "F32", total, offset = 0, shape } = window;
  const rowMajor = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const id = tuple(text("storage"), global("torch", storages[dtype]!), text(key), text("cpu"), int(total));
  return call(
    global("torch._utils", "_rebuild_tensor_v2"),
    bytesOf(id, "Q"),
    int(offset),
    tuple(...shape.map(int)),
    tuple(...(window.strides ?? rowMajor).map(int)),
    bytesOf("\x89"),
    call(global("collections", "OrderedDict")),
  );
}

/** A checkpoint in the zip format: the tensors under `state_dict`, other values beside it. */
export function torchZip(
  tensors: Readonly<Record<string, SampleTensor>>,
  beside: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array<ArrayBuffer> {
  const calls: Record<string, Uint8Array> = {};
  const storageFiles: Record<string, Uint8Array> = {};
  Object.entries(tensors).forEach(([name, { dtype, shape, bytes }], i) => {
    const total = shape.reduce((a, b) => a * b, 1);
    calls[name] = tensorCall(String(i), { dtype, total, shape });
    storageFiles[String(i)] = bytes;
  });
  return torchArchive(dict({ state_dict: dict(calls), ...beside }), storageFiles);
}

/** A checkpoint in the zip format from the opcodes of its object. */
export function torchArchive(
  object: Uint8Array,
  storageFiles: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array<ArrayBuffer> {
  const data = Object.fromEntries(Object.entries(storageFiles).map(([key, bytes]) => [`archive/data/${key}`, bytes]));
  return zip({ "archive/data.pkl": pickle(object), ...data, "archive/version": bytesOf("3\n") });
}

export interface ZipOptions {
  /** Write sizes and places as 64-bit numbers in extra fields. */
  readonly wide?: boolean;
  readonly method?: number;
  readonly flags?: number;
  readonly comment?: string;
}

/** A zip archive; contents begin at multiples of 64, as PyTorch aligns them. */
export function zip(files: Readonly<Record<string, Uint8Array>>, options: ZipOptions = {}): Uint8Array<ArrayBuffer> {
  const { wide = false, method = 0, flags = 0, comment = "" } = options;
  const body: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const add = (part: Uint8Array) => {
    body.push(part);
    at += part.byteLength;
  };
  const full = 0xffffffff;
  const entries = Object.entries(files);
  for (const [name, content] of entries) {
    const header = at;
    const label = new TextEncoder().encode(name);
    const padding = new Uint8Array((64 - ((header + 30 + label.byteLength) % 64)) % 64);
    const size = content.byteLength;
    const sizes = wide ? [u32(full), u32(full)] : [u32(size), u32(size)];
    const common = bytesOf(u16(45), u16(flags), u16(method), u32(0), u32(0), ...sizes, u16(label.byteLength));
    add(bytesOf("PK\x03\x04", common, u16(padding.byteLength), label, padding, content));
    const extra = wide ? bytesOf("FB", u16(2), "zz", u16(1), u16(24), u64(size), u64(size), u64(header)) : bytesOf();
    directory.push(
      bytesOf("PK\x01\x02", u16(45), common, u16(extra.byteLength), u16(0), u16(0), u16(0), u32(0)),
      bytesOf(u32(wide ? full : header), label, extra),
    );
  }
  const begin = at;
  directory.forEach(add);
  const bytes = at - begin;
  const count = entries.length;
  if (wide) {
    const end64 = at;
    add(
      bytesOf("PK\x06\x06", u64(44), u16(45), u16(45), u32(0), u32(0), u64(count), u64(count), u64(bytes), u64(begin)),
    );
    add(bytesOf("PK\x06\x07", u32(0), u64(end64), u32(1)));
    add(bytesOf("PK\x05\x06", u16(0), u16(0), u16(0xffff), u16(0xffff), u32(full), u32(full), u16(comment.length)));
  } else {
    add(bytesOf("PK\x05\x06", u16(0), u16(0), u16(count), u16(count), u32(bytes), u32(begin), u16(comment.length)));
  }
  add(bytesOf(comment));
  return bytesOf(...body);
}

/** A checkpoint in the stream format from the opcodes of its object; storages as (elements, bytes). */
export function torchStream(
  object: Uint8Array,
  storageData: Readonly<Record<string, readonly [number, Uint8Array]>> = {},
): Uint8Array<ArrayBuffer> {
  const magic = bytesOf("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  const keys = Object.keys(storageData);
  return bytesOf(
    pickle(magic),
    pickle(int(1001)),
    pickle(dict({ little_endian: bytesOf("\x88") })),
    pickle(object),
    pickle(bytesOf("](", ...keys.map(text), "e")),
    ...keys.flatMap((key) => [u64(storageData[key]![0]), storageData[key]![1]]),
  );
}
