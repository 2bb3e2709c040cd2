// Random tensors that every implementation can make for itself. bench/reference/seeded.py states the rule.
import { type Shape, sizeOf } from "../../src/core/shape.js";
import { TorchGenerator } from "../../src/core/torchRandom.js";
import { type TensorToWrite, writeSafetensors } from "../../src/weights/writer.js";

/** FNV-1a, 32 bits, of a name in UTF-8. */
export function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Standard normal values of a name. */
export const normal = (name: string, shape: Shape): Float32Array<ArrayBuffer> =>
  new TorchGenerator(seedOf(name)).randn(sizeOf(shape));

/** A picture in 0..1. */
export const picture = (name: string, shape: Shape): Float32Array<ArrayBuffer> =>
  normal(name, shape).map((z) => Math.min(1, Math.max(0, 0.5 + 0.2 * z)));

/** Ids below `vocabulary`. */
export const tokens = (name: string, shape: Shape, vocabulary: number): number[] =>
  Array.from(normal(name, shape), (z) => Math.floor(Math.fround(Math.abs(z) * 1000)) % vocabulary);

const table = /(embedding|embed_tokens|embed_positions|_emb|emb\.emb)\.weight$/;
const [half, fifth, tenth] = [0.5, Math.fround(0.2), Math.fround(0.1)] as const;

const known = new Map<string, Float32Array<ArrayBuffer>>(); // the models of the tasks share most tensors

/** The weight of a name. */
export function weight(name: string, shape: Shape): Float32Array<ArrayBuffer> {
  const key = `${name} ${shape}`;
  let values = known.get(key);
  if (!values) {
    const scale = Math.fround(1 / Math.sqrt(sizeOf(shape.slice(1))));
    values = normal(name, shape);
    if (shape.length === 2 && table.test(name)) values = values.map((z) => half * z);
    else if (shape.length >= 2) values = values.map((z) => scale * z);
    else values = name.endsWith(".bias") ? values.map((z) => tenth * z) : values.map((z) => 1 + Math.fround(fifth * z));
    known.set(key, values);
  }
  return values;
}

/** What a network is made of, told without the values. */
export interface Sum {
  readonly tensors: number;
  readonly parameters: number;
  readonly sumOfAbsolutes: number;
}

/** A safetensors file with the weights of names and shapes; `prefix` goes before each name where its seed is made. */
export function seededFile(prefix: string, shapes: ReadonlyMap<string, Shape>): { blob: Blob; sum: Sum } {
  const files: TensorToWrite[] = [];
  let [parameters, sumOfAbsolutes] = [0, 0];
  for (const [name, shape] of shapes) {
    const values = weight(`${prefix}.${name}`, shape);
    files.push({ name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) });
    parameters += values.length;
    for (const x of values) sumOfAbsolutes += Math.abs(x);
  }
  return { blob: new Blob([writeSafetensors(files)]), sum: { tensors: files.length, parameters, sumOfAbsolutes } };
}
