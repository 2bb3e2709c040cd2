import { invariant } from "../core/invariant.js";
import { type Folder, readJson } from "./folder.js";
import { quote } from "./oneLine.js";
import { openSafetensors, type Safetensors, type StoredTensor } from "./safetensors.js";

const bases = ["diffusion_pytorch_model.safetensors", "model.safetensors"];

/** A file to look for: the weights themselves, or the index of several files. */
interface Candidate {
  readonly path: string;
  readonly isIndex: boolean;
}

/**
 * The tensors of one component of a diffusers folder by name: of its sharded index or its single file, under the base
 * names of diffusers and transformers, full precision before the fp16 variant. Only headers are read. `component` "" is
 * the folder itself. Fails, with a list of what was tried, where there are none.
 */
export async function openComponent(folder: Folder, component: string): Promise<Map<string, StoredTensor>> {
  const prefix = component === "" ? "" : `${component}/`;
  const candidates = candidatesIn(prefix);
  for (const { path, isIndex } of candidates) {
    if (isIndex) {
      const index = await readJson(folder, path);
      if (index !== undefined) return openShards(folder, prefix, path, index);
    } else {
      const source = await folder.open(path);
      if (source) return new Map((await openSafetensors(source)).tensors);
    }
  }
  const tried = candidates.map(({ path }) => path.slice(prefix.length)).join(", ");
  invariant(false, `model folder '${folder.name}' has no safetensors of '${component}'; tried ${tried}`);
}

function candidatesIn(prefix: string): Candidate[] {
  const full = bases.flatMap((base) => [
    { path: `${prefix}${base}.index.json`, isIndex: true },
    { path: `${prefix}${base}`, isIndex: false },
  ]);
  const half = bases.flatMap((base) => [
    { path: `${prefix}${base}.index.fp16.json`, isIndex: true },
    { path: `${prefix}${base}.fp16.index.json`, isIndex: true }, // as older versions wrote it
    { path: `${prefix}${base.replace(".safetensors", ".fp16.safetensors")}`, isIndex: false },
  ]);
  return [...full, ...half];
}

async function openShards(
  folder: Folder,
  prefix: string,
  indexPath: string,
  index: unknown,
): Promise<Map<string, StoredTensor>> {
  const where = `${folder.name}: index '${indexPath}'`;
  const map = isRecord(index) ? index["weight_map"] : undefined;
  invariant(isRecord(map), `${where}: expected an object 'weight_map' from tensor to file`);
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    invariant(typeof shard === "string", () => `${where}: expected a file name for tensor ${quote(tensor)}`);
    shardOf.set(tensor, shard);
  }

  const shards = new Map<string, Safetensors>();
  await Promise.all(
    [...new Set(shardOf.values())].map(async (shard) => {
      const source = await folder.open(prefix + shard);
      invariant(source, () => `${where} names the file ${quote(shard)}, which does not exist`);
      shards.set(shard, await openSafetensors(source));
    }),
  );

  const tensors = new Map<string, StoredTensor>();
  for (const [name, shard] of shardOf) {
    const tensor = shards.get(shard)?.tensors.get(name);
    invariant(tensor, () => `${where} places tensor ${quote(name)} in ${quote(shard)}, which lacks it`);
    tensors.set(name, tensor);
  }
  // Writers sometimes leave tensors out of the index; the files have the last word.
  for (const shard of shards.values()) {
    for (const [name, tensor] of shard.tensors) if (!tensors.has(name)) tensors.set(name, tensor);
  }
  return tensors;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
