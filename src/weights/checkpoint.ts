import { invariant } from "../core/invariant.js";
import { type Folder, readJson } from "./folder.js";
import { quote } from "./oneLine.js";
import { openWeights, type Weights } from "./openWeights.js";
import type { StoredTensor } from "./safetensors.js";

/** Base names of diffusers and of transformers, format by format. */
const formats = [
  [
    { stem: "diffusion_pytorch_model", file: "diffusion_pytorch_model.safetensors" },
    { stem: "model", file: "model.safetensors" },
  ],
  [
    { stem: "diffusion_pytorch_model", file: "diffusion_pytorch_model.bin" },
    { stem: "model", file: "pytorch_model.bin" },
  ],
];

/** A file to look for: the weights themselves, or the index of several files. */
interface Candidate {
  readonly path: string;
  readonly isIndex: boolean;
  readonly stem: string;
}

/** The weights of a component, and how its files are called in safetensors. */
export interface FoundComponent {
  readonly tensors: Map<string, StoredTensor>;
  readonly stem: string;
}

/**
 * The tensors of one component of a diffusers folder by name: of its sharded index or its single file, under the base
 * names of diffusers and transformers, safetensors before PyTorch's files, full precision before the fp16 variant. Only
 * headers are read. `component` "" is the folder itself. Fails, with a list of what was tried, where there are none.
 */
export async function openComponent(folder: Folder, component: string): Promise<Map<string, StoredTensor>> {
  const found = await findComponent(folder, component);
  const tried = () => groupsIn("").flatMap((group) => group.map(({ path }) => path));
  invariant(found, () => `model folder '${folder.name}' has no weights of '${component}'; tried ${tried().join(", ")}`);
  return found.tensors;
}

/** As {@link openComponent}, but undefined where there are no weights. */
export async function findComponent(folder: Folder, component: string): Promise<FoundComponent | undefined> {
  const prefix = component === "" ? "" : `${component}/`;
  for (const group of groupsIn(prefix)) {
    // Asked for at once: each may be a journey over a network away.
    const sources = await Promise.all(group.map(({ path }) => folder.open(path)));
    const found = sources.findIndex((source) => source !== undefined);
    const [candidate, source] = [group[found], sources[found]];
    if (!candidate || !source) continue;
    const { path, isIndex, stem } = candidate;
    if (!isIndex) return { tensors: new Map((await openWeights(source)).tensors), stem };
    return { tensors: await openShards(folder, prefix, path, await readJson(folder, path)), stem };
  }
  return undefined;
}

/** What is looked for, one group after the other: an index and the single file of the same name at once. */
function groupsIn(prefix: string): Candidate[][] {
  return formats.flatMap((format) => {
    const full = format.map(({ stem, file }) => [
      { stem, path: `${prefix}${file}.index.json`, isIndex: true },
      { stem, path: `${prefix}${file}`, isIndex: false },
    ]);
    const half = format.map(({ stem, file }) => [
      { stem, path: `${prefix}${file}.index.fp16.json`, isIndex: true },
      { stem, path: `${prefix}${file}.fp16.index.json`, isIndex: true }, // as older versions wrote it
      { stem, path: `${prefix}${file.replace(/\.\w+$/, ".fp16$&")}`, isIndex: false },
    ]);
    return [...full, ...half];
  });
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

  const shards = new Map<string, Weights>();
  await Promise.all(
    [...new Set(shardOf.values())].map(async (shard) => {
      const source = await folder.open(prefix + shard);
      invariant(source, () => `${where} names the file ${quote(shard)}, which does not exist`);
      shards.set(shard, await openWeights(source));
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
