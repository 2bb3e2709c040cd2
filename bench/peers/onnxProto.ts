// The few messages of ONNX's protocol buffers that a model needs, as bytes.

type Bytes = Uint8Array<ArrayBuffer>;
const text = new TextEncoder();

function join(parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function varint(value: number): Bytes {
  // Negative numbers are not needed: no axis here counts from the end.
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Uint8Array.from([...bytes, rest]);
}

const number = (field: number, value: number): Bytes => join([varint(field * 8), varint(value)]);
const block = (field: number, bytes: Uint8Array): Bytes => join([varint(field * 8 + 2), varint(bytes.length), bytes]);
const string = (field: number, value: string): Bytes => block(field, text.encode(value));
const float = (field: number, value: number): Bytes =>
  join([varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer)]);

export const elementTypes = { f32: 1, i64: 7, f16: 10 } as const;
export type ElementType = keyof typeof elementTypes;

export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** "" for ONNX's own operators. */
  readonly domain?: string;
}

function attribute(name: string, value: Attribute): Bytes {
  const [body, type] =
    typeof value === "number"
      ? [number(3, value), 2]
      : typeof value === "string"
        ? [string(4, value), 3]
        : "float" in value
          ? [float(2, value.float), 1]
          : [join(value.map((v) => number(8, v))), 7];
  return join([string(1, name), body, number(20, type)]);
}

const node = ({ op, inputs, outputs, attributes = {}, domain }: OnnxNode): Bytes =>
  join([
    ...inputs.map((name) => string(1, name)),
    ...outputs.map((name) => string(2, name)),
    string(4, op),
    ...Object.entries(attributes).map(([name, value]) => block(5, attribute(name, value))),
    ...(domain ? [string(7, domain)] : []),
  ]);

export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Where a tensor lies in a file beside the model. */
interface Place {
  readonly file: string;
  readonly offset: number;
}

function tensor({ name, type, shape, bytes }: OnnxTensor, place: Place | undefined): Bytes {
  const entry = (key: string, value: string) => block(13, join([string(1, key), string(2, value)]));
  return join([
    ...shape.map((axis) => number(1, axis)),
    number(2, elementTypes[type]),
    string(8, name),
    ...(place
      ? [
          entry("location", place.file),
          entry("offset", String(place.offset)),
          entry("length", String(bytes.length)),
          number(14, 1),
        ]
      : [block(9, bytes)]),
  ]);
}

export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
}

const valueInfo = ({ name, type, shape }: OnnxValue): Bytes => {
  const dims = join(shape.map((axis) => block(1, number(1, axis))));
  const tensorType = join([number(1, elementTypes[type]), block(2, dims)]);
  return join([string(1, name), block(2, block(1, tensorType))]);
};

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** Tensors from this many bytes on lie in a file of their own, since a model must stay below 2 GiB. */
const inline = 1024;
export const weightsFile = "weights.bin";

/** A model, and the weights beside it. */
export function encodeModel({ nodes, tensors, inputs, outputs }: OnnxGraph): { model: Bytes; weights: Bytes } {
  const large = tensors.filter(({ bytes }) => bytes.length >= inline);
  const places = new Map<OnnxTensor, Place>();
  let end = 0;
  for (const item of large) {
    places.set(item, { file: weightsFile, offset: end });
    end += Math.ceil(item.bytes.length / 4096) * 4096;
  }
  const weights = new Uint8Array(end);
  for (const [item, { offset }] of places) weights.set(item.bytes, offset);
  const graph = join([
    ...nodes.map((n) => block(1, node(n))),
    string(2, "bench"),
    ...tensors.map((t) => block(5, tensor(t, places.get(t)))),
    ...inputs.map((v) => block(11, valueInfo(v))),
    ...outputs.map((v) => block(12, valueInfo(v))),
  ]);
  const opset = (domain: string, version: number) => block(8, join([string(1, domain), number(2, version)]));
  return { model: join([number(1, 9), opset("", 20), opset("com.microsoft", 1), block(7, graph)]), weights };
}
