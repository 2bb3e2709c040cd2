import type { ByteSource } from "../weights/byteSource.js";

const mark = "$webldm";

/** Stands in a message for what structured clones cannot hold. */
type Mark = { readonly [mark]: "function" | "signal"; readonly id: number };

/** A function of either side. */
export type Callable = (...args: never[]) => unknown;

/** What packing does with functions and signals, and what leaves with the message. */
export interface Packing {
  function(run: Callable): number;
  signal(signal: AbortSignal): number;
  readonly transfer: Transferable[] | undefined;
}

export interface Unpacking {
  function(id: number): Callable;
  signal(id: number): AbortSignal;
}

/** A copy that structured clones can hold: with marks for functions and signals, and no more memory than is meant. */
export function pack(value: unknown, packing: Packing): unknown {
  const { transfer } = packing;
  if (typeof value === "function") return { [mark]: "function", id: packing.function(value as Callable) };
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof AbortSignal) return { [mark]: "signal", id: packing.signal(value) };
  if (value instanceof URL) return value.href;
  if (value instanceof ArrayBuffer || isBitmap(value)) {
    transfer?.push(value);
    return value;
  }
  if (ArrayBuffer.isView(value)) return packView(value, transfer);
  if (Array.isArray(value)) return value.map((one) => pack(one, packing));
  if (isSource(value)) {
    const { name, size } = value;
    return pack({ name, size, read: value.read.bind(value) }, packing);
  }
  if (!isPlain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, pack(one, packing)]));
}

/** A clone of a view takes the whole of the memory that it looks at, hence the copy of what it sees. */
function packView(view: ArrayBufferView, transfer: Transferable[] | undefined): ArrayBufferView {
  const { buffer, byteOffset, byteLength } = view;
  if (!(buffer instanceof ArrayBuffer)) return view;
  const kind = view.constructor as new (buffer: ArrayBuffer) => ArrayBufferView;
  const whole = byteLength === buffer.byteLength;
  const own = whole ? view : new kind(buffer.slice(byteOffset, byteOffset + byteLength));
  transfer?.push(own.buffer as ArrayBuffer);
  return own;
}

/** What {@link pack} made, on the other side. */
export function unpack(value: unknown, unpacking: Unpacking): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => unpack(one, unpacking));
  if (!isPlain(value)) return value;
  if (isMark(value)) return unpacking[value[mark]](value.id);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, unpack(one, unpacking)]));
}

const isMark = (value: object): value is Mark => mark in value;

const isBitmap = (value: object): value is ImageBitmap =>
  typeof ImageBitmap !== "undefined" && value instanceof ImageBitmap;

/** Some are objects of classes. */
const isSource = (value: object): value is ByteSource => !isPlain(value) && "read" in value && "size" in value;

/** Objects of literals; those of classes are left to structured clones. */
export function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
