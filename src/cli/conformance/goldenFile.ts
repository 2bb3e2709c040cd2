import { invariant } from "../../core/invariant.js";
import { toFloat32, toIntegers } from "../../weights/decode.js";
import { fromFile } from "../../weights/node.js";
import { openWeights } from "../../weights/openWeights.js";
import type { StoredTensor, StoredType } from "../../weights/safetensors.js";
import type { Values } from "./values.js";

const integers: readonly StoredType[] = ["BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"];

/** A file of weights of the reference data. */
export class GoldenFile {
  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, StoredTensor>,
  ) {}

  /** @throws WebldmError where the file is missing or breaks the format. */
  static async open(path: string): Promise<GoldenFile> {
    return new GoldenFile(path, (await openWeights(await fromFile(path))).tensors);
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  names(prefix: string): string[] {
    return [...this.tensors.keys()].filter((name) => name.startsWith(prefix));
  }

  stored(name: string): StoredTensor {
    const tensor = this.tensors.get(name);
    invariant(tensor, () => `${this.path} lacks the tensor ${name}`);
    return tensor;
  }

  /** A tensor as a weight of another name. */
  renamed(name: string, as: string): StoredTensor {
    return { ...this.stored(name), name: as };
  }

  values(name: string): Promise<Values> {
    return valuesOf(this.stored(name));
  }
}

/** The numbers of a stored tensor. */
export async function valuesOf({ source, begin, end, dtype, shape }: StoredTensor): Promise<Values> {
  const bytes = await source.read(begin, end);
  return { shape, data: integers.includes(dtype) ? toIntegers(bytes, dtype) : toFloat32(bytes, dtype) };
}
