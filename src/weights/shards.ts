import type { StoredType } from "./storedType.js";

/** One file of several, or the only one. */
export interface Shard {
  readonly file: string;
  readonly names: readonly string[];
}

/** A tensor as far as its place in a file goes. */
export interface SizedTensor {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** Files of a component, and the index that says which tensor is where, if there is more than one. */
export interface ShardPlan {
  readonly shards: readonly Shard[];
  /** Its name and content, as diffusers and transformers read them. */
  readonly index?: { readonly file: string; readonly json: unknown };
}

/** At most this many bytes does a header take for a tensor: two offsets, and what is around them. */
const entryBytes = 2 * 16 + 64;

/**
 * Fills files in the order given, each up to `largest` bytes with its header; a tensor larger than that gets a file of
 * its own. Names follow diffusers: `STEM.safetensors`, or `STEM-00001-of-0000K.safetensors` with an index.
 */
export function planShards(
  tensors: readonly SizedTensor[],
  stem: string,
  largest: number,
  metadata: Readonly<Record<string, string>> = {},
): ShardPlan {
  const bytesOf = (json: unknown) => new TextEncoder().encode(JSON.stringify(json)).byteLength;
  const frame = bytesOf(metadata) + 64; // the metadata, the length, and the padding
  const groups: string[][] = [];
  let room = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    const header = entryBytes + bytesOf([name, dtype, shape]);
    if (groups.length === 0 || room < header + bytes) {
      groups.push([]);
      room = largest - frame;
    }
    groups.at(-1)!.push(name);
    room -= header + bytes;
  }
  if (groups.length <= 1) return { shards: groups.map((names) => ({ file: `${stem}.safetensors`, names })) };

  const digits = (n: number) => String(n).padStart(5, "0");
  const shards = groups.map((names, i) => ({
    file: `${stem}-${digits(i + 1)}-of-${digits(groups.length)}.safetensors`,
    names,
  }));
  const weightMap = Object.fromEntries(shards.flatMap(({ file, names }) => names.map((name) => [name, file])));
  const json = {
    metadata: { total_size: tensors.reduce((sum, { bytes }) => sum + bytes, 0) },
    weight_map: weightMap,
  };
  return { shards, index: { file: `${stem}.safetensors.index.json`, json } };
}
