import { invariant } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import type { ByteSource } from "./byteSource.js";
import { quote } from "./oneLine.js";
import {
  type Global,
  PickleCutOff,
  PickleError,
  type PickleHost,
  PickleObject,
  type PickleValue,
  readPickle,
  Tuple,
} from "./pickle.js";
import { type ByteRange, readMany } from "./readMany.js";
import type { StoredTensor } from "./safetensors.js";
import { storedBits } from "./storedType.js";
import { gathered, isContiguous } from "./strided.js";
import { type TorchStorage, TorchTensor, torchGlobal, torchStorage } from "./torchGlobals.js";
import { locate, looksLikeZip, openZip } from "./zip.js";

/** What a checkpoint of PyTorch holds. */
export interface TorchFile {
  /** By name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Plain values beside the weights, such as `global_step`, as text. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** A checkpoint before its tensors are placed in the file. */
interface Contents {
  readonly top: PickleValue;
  readonly storages: ReadonlyMap<string, TorchStorage>;
  /** Where storages lie. */
  place(keys: readonly string[]): Promise<ByteRange[]>;
}

const largestPickle = 100_000_000;
const firstWindow = 2 ** 20;
const legacyMagic = 0x1950a86a20f9469cfc6cn;
const legacyProtocol = 1001;
const mostNames = 2 ** 20; // of one file, also where the same dictionary is in it many times
const deepest = 16;
const freeRepeats = 2 ** 24; // elements that a tensor may have beyond those of its storage, by repeating them

/**
 * Opens what torch.save wrote (`.ckpt`, `.pt`, `.bin`): a zip archive, or the stream of pickles from before PyTorch 1.6.
 * Only pickles and headers are read; no tensor is, and nothing in the file is ever run. The tensors are those of
 * `state_dict`, also inside `model`, else of the file's dictionary itself; names of nested dictionaries are joined with
 * dots. See LDM's `main.py` and PyTorch's `torch/serialization.py`.
 * @throws WebldmError that names the file, and the name it asks for where that is not data
 */
export async function openTorch(source: ByteSource, signal?: AbortSignal): Promise<TorchFile> {
  const head = await source.read(0, Math.min(4, source.size), signal);
  const contents = looksLikeZip(head) ? await openArchive(source, signal) : await openLegacy(source, signal);
  const found = [...tensorsIn(weightsOf(contents.top), source.name)];
  invariant(found.length > 0, () => `${source.name}: holds no tensors`);
  const keys = [...new Set(found.map(([, tensor]) => tensor.storage.key))];
  const ranges = await contents.place(keys);
  const places = new Map(keys.map((key, i) => [key, ranges[i]!]));
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of found) {
    invariant(!tensors.has(name), () => `${source.name}: tensor ${quote(name)} occurs twice`);
    tensors.set(name, storedTensor(name, tensor, source, places.get(tensor.storage.key)!));
  }
  return { tensors, metadata: metadataOf(contents.top) };
}

/** The names that PyTorch's pickles use, and the storages that come by. */
class Host implements PickleHost {
  readonly storages = new Map<string, TorchStorage>();

  global(module: string, name: string): Global | undefined {
    return torchGlobal(module, name);
  }

  persistent(id: PickleValue): TorchStorage {
    const storage = torchStorage(id);
    const known = this.storages.get(storage.key);
    if (!known) this.storages.set(storage.key, storage);
    else if (known.dtype !== storage.dtype || known.total !== storage.total) {
      throw new PickleError(`storage ${quote(storage.key)} has two sizes`);
    }
    return storage;
  }
}

async function openArchive(source: ByteSource, signal?: AbortSignal): Promise<Contents> {
  const zip = await openZip(source, signal);
  const pickles = [...zip.members.values()].filter(({ name }) => /(^|\/)data\.pkl$/.test(name));
  const [member] = pickles;
  invariant(
    member && pickles.length === 1,
    () => `${source.name}: expected a zip archive of torch.save, got one with ${pickles.length} files data.pkl`,
  );
  const prefix = member.name.slice(0, -"data.pkl".length);
  invariant(member.size <= largestPickle, () => `${source.name}: its pickle is larger than ${largestPickle} bytes`);
  const order = zip.members.get(`${prefix}byteorder`);
  const [range, orderRange] = await locate(zip, order ? [member, order] : [member], signal);
  if (orderRange && orderRange.end - orderRange.begin <= 16) {
    const text = new TextDecoder().decode(await source.read(orderRange.begin, orderRange.end, signal));
    invariant(text === "little", () => `${source.name}: expected little-endian numbers, got ${quote(text)}`);
  }
  const host = new Host();
  const { begin, end } = range!;
  const { value: top } = readPickle(await source.read(begin, end, signal), 0, host, source.name);
  return {
    top,
    storages: host.storages,
    async place(keys) {
      const members = keys.map((key) => {
        const found = zip.members.get(`${prefix}data/${key}`);
        invariant(found, () => `${source.name}: lacks the storage ${quote(key)}`);
        return found;
      });
      const ranges = await locate(zip, members, signal);
      keys.forEach((key, i) => {
        const expected = bytesOf(host.storages.get(key)!);
        const got = ranges[i]!.end - ranges[i]!.begin;
        invariant(got >= expected, () => `${source.name}: storage ${quote(key)} takes ${expected} bytes, got ${got}`);
      });
      return ranges;
    },
  };
}

/** Five pickles (magic number, version, machine, the object, keys of storages), then each storage with its count. */
async function openLegacy(source: ByteSource, signal?: AbortSignal): Promise<Contents> {
  const { top, keys, storages, end } = await readGrowing(
    source,
    (bytes) => readLegacyPickles(bytes, source.name),
    signal,
  );
  const ranges = new Map<string, ByteRange>();
  let at = end;
  for (const key of keys) {
    const storage = storages.get(key);
    invariant(storage && !ranges.has(key), () => `${source.name}: unexpected storage ${quote(key)}`);
    const begin = at + 8;
    at = begin + bytesOf(storage);
    invariant(at <= source.size, () => `${source.name}: ended within storage ${quote(key)} (was the file cut off?)`);
    ranges.set(key, { begin, end: at });
  }
  return {
    top,
    storages,
    async place(wanted) {
      const places = wanted.map((key) => {
        const range = ranges.get(key);
        invariant(range, () => `${source.name}: lacks the storage ${quote(key)}`);
        return range;
      });
      const counts = places.map(({ begin }) => ({ begin: begin - 8, end: begin }));
      const read = await readMany(source, counts, signal);
      wanted.forEach((key, i) => {
        const count = new DataView(read[i]!.buffer, read[i]!.byteOffset, 8).getBigUint64(0, true);
        const expected = storages.get(key)!.total;
        invariant(
          count === BigInt(expected),
          () => `${source.name}: storage ${quote(key)}: expected ${expected} elements, got ${count}`,
        );
      });
      return places;
    },
  };
}

function readLegacyPickles(bytes: Uint8Array, name: string) {
  const host = new Host();
  let at = 0;
  const next = () => {
    const { value, end } = readPickle(bytes, at, host, name);
    at = end;
    return value;
  };
  invariant(next() === legacyMagic, `${name}: is a pickle, but not one of torch.save`);
  const version = next();
  invariant(version === legacyProtocol, `${name}: expected version ${legacyProtocol} of the format of torch.save`);
  const machine = next();
  invariant(
    machine instanceof Map && machine.get("little_endian") !== false,
    `${name}: expected little-endian numbers, got big-endian ones`,
  );
  const top = next();
  const keys = next();
  invariant(
    Array.isArray(keys) && keys.every((key) => typeof key === "string"),
    `${name}: expected a list of storages after the first pickles`,
  );
  return { top, keys: keys as string[], storages: host.storages, end: at };
}

/** Parses the beginning of a file, of which nobody says how long it is: more is read for as long as it is cut off. */
async function readGrowing<T>(source: ByteSource, parse: (bytes: Uint8Array) => T, signal?: AbortSignal): Promise<T> {
  for (let window = firstWindow; ; window *= 4) {
    const bytes = await source.read(0, Math.min(source.size, window, largestPickle), signal);
    try {
      return parse(bytes);
    } catch (error) {
      const isAll = bytes.byteLength === source.size || bytes.byteLength === largestPickle;
      if (!(error instanceof PickleCutOff) || isAll) throw error;
    }
  }
}

/** The dictionary with the weights: `state_dict`, or the one inside `model`, or everything. */
function weightsOf(top: PickleValue): PickleValue {
  if (!(top instanceof Map)) return top;
  const model = top.get("model");
  const inner = model instanceof Map ? (model.get("state_dict") ?? model) : undefined;
  const hasTensors = [...top.values()].some((value) => value instanceof TorchTensor);
  return [top.get("state_dict"), hasTensors ? undefined : inner].find((value) => value instanceof Map) ?? top;
}

/** Tensors of nested dictionaries and their names, in the order of the file. What is neither is left out. */
function* tensorsIn(root: PickleValue, file: string): Generator<[string, TorchTensor], void, void> {
  let visited = 0;
  function* walk(value: PickleValue, path: string, depth: number): Generator<[string, TorchTensor], void, void> {
    invariant(++visited <= mostNames, () => `${file}: holds more than ${mostNames} names`);
    if (value instanceof TorchTensor) yield [path, value];
    if (!(value instanceof Map)) return;
    invariant(depth < deepest, () => `${file}: its dictionaries are nested deeper than ${deepest} levels`);
    for (const [key, item] of value) {
      if (typeof key !== "string" && typeof key !== "number") continue;
      yield* walk(item, path === "" ? String(key) : `${path}.${key}`, depth + 1);
    }
  }
  yield* walk(root, "", 0);
}

function metadataOf(top: PickleValue): Map<string, string> {
  const metadata = new Map<string, string>();
  if (!(top instanceof Map)) return metadata;
  for (const [key, value] of top) {
    if (typeof key !== "string" || value === null || value instanceof Tuple || value instanceof PickleObject) continue;
    if (typeof value !== "object") metadata.set(key, String(value));
  }
  return metadata;
}

function storedTensor(name: string, tensor: TorchTensor, source: ByteSource, place: ByteRange): StoredTensor {
  const { storage, dtype, shape, strides, offset } = tensor;
  const fail = (why: string): never => invariant(false, `${source.name}: tensor ${quote(name)}: ${why}`) as never;
  const width = storedBits[dtype] / 8;
  const storageWidth = storedBits[storage.dtype] / 8;
  const base = place.begin + storage.first * storageWidth;
  const bytes = storage.count * storageWidth;
  const count = sizeOf(shape);
  if (count === 0) return { name, dtype, shape, source, begin: place.begin, end: place.begin };
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
  if (!Number.isSafeInteger(last) || (last + 1) * width > bytes) {
    fail(`reaches to element ${last} of a storage of ${bytes} bytes`);
  }
  if (count * width > bytes && count > freeRepeats) fail(`repeats its storage to ${count} elements`);
  if (isContiguous(tensor)) {
    const begin = base + offset * width;
    return { name, dtype, shape, source, begin, end: begin + count * width };
  }
  const view = gathered(source, { base, elementBytes: width, offset, shape, strides });
  return { name, dtype, shape, source: view, begin: 0, end: view.size };
}

const bytesOf = ({ dtype, total }: TorchStorage): number => (total * storedBits[dtype]) / 8;
