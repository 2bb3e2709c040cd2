import { sizeOf } from "../core/shape.js";
import { Global, Opaque, PickleError, PickleObject, type PickleValue, Tuple } from "./pickle.js";
import type { StoredType } from "./storedType.js";

/** A run of elements in the file; several tensors may lie in one. */
export class TorchStorage extends PickleObject {
  constructor(
    /** Which of the file's storages it lies in. */
    readonly key: string,
    readonly dtype: StoredType,
    /** Elements of the file's storage. */
    readonly total: number,
    /** First element that belongs to this one: older files have storages that are parts of others. */
    readonly first = 0,
    readonly count = total,
  ) {
    super();
  }
}

/** A tensor as PyTorch describes it: a window with strides on a storage, counted in elements. */
export class TorchTensor extends PickleObject {
  constructor(
    readonly storage: TorchStorage,
    readonly dtype: StoredType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }
}

/** Name of a class of storages; what the elements are, where the class says so. */
export class StorageClass extends Global {
  constructor(
    name: string,
    readonly dtype: StoredType,
  ) {
    super(name);
  }
}

class ElementType extends Global {
  constructor(
    name: string,
    readonly dtype: StoredType,
  ) {
    super(name);
  }
}

const storageTypes: Readonly<Record<string, StoredType>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
  ComplexFloatStorage: "C64",
};

/** Storages without a type of elements: counted in bytes. */
const untyped = ["torch.storage._TypedStorage", "torch.storage.TypedStorage", "torch.storage.UntypedStorage"];

const elementTypes: Readonly<Record<string, StoredType>> = {
  float64: "F64",
  double: "F64",
  float32: "F32",
  float: "F32",
  float16: "F16",
  half: "F16",
  bfloat16: "BF16",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  float8_e4m3fnuz: "F8_E4M3FNUZ",
  float8_e5m2fnuz: "F8_E5M2FNUZ",
  float8_e8m0fnu: "F8_E8M0",
  int64: "I64",
  long: "I64",
  int32: "I32",
  int: "I32",
  int16: "I16",
  short: "I16",
  int8: "I8",
  uint8: "U8",
  uint16: "U16",
  uint32: "U32",
  uint64: "U64",
  bool: "BOOL",
  complex64: "C64",
};

/**
 * Names that published checkpoints carry in their training records, beside the weights. Every one is a class that holds
 * data, or makes a number, a text or an array of plain arguments. None is called here either: they stand for an object
 * of which nothing is kept.
 */
const inert = [
  // Lightning's callbacks are keyed by their class; the best score so far is a NumPy scalar (Stable Diffusion 1.x).
  "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
  "pytorch_lightning.utilities.parsing.AttributeDict",
  "numpy.core.multiarray.scalar",
  "numpy.core.multiarray._reconstruct",
  "numpy._core.multiarray.scalar",
  "numpy._core.multiarray._reconstruct",
  "numpy.dtype",
  "numpy.ndarray",
  "_codecs.encode",
  // Hyper-parameters of models that were made from a configuration file.
  "omegaconf.dictconfig.DictConfig",
  "omegaconf.listconfig.ListConfig",
  "omegaconf.base.ContainerMetadata",
  "omegaconf.base.Metadata",
  "omegaconf.nodes.AnyNode",
  "typing.Any",
  "argparse.Namespace",
  // States of optimizers and learning-rate schedules.
  "collections.defaultdict",
  "collections.Counter",
  ...["builtins", "__builtin__"].flatMap((module) =>
    ["set", "frozenset", "dict", "list", "tuple", "int", "float", "str", "bool"].map((name) => `${module}.${name}`),
  ),
];

const known = new Map<string, Global>(
  [
    ...Object.entries(storageTypes).map(([name, dtype]) => new StorageClass(`torch.${name}`, dtype)),
    ...untyped.map((name) => new StorageClass(name, "U8")),
    ...Object.entries(elementTypes).map(([name, dtype]) => new ElementType(`torch.${name}`, dtype)),
    ...inert.map((name) => new Global(name, () => new Opaque(name))),
    new Global("torch._utils._rebuild_tensor", rebuildTensor),
    new Global("torch._utils._rebuild_tensor_v2", rebuildTensor),
    new Global("torch._utils._rebuild_tensor_v3", rebuildTensor),
    new Global("torch._utils._rebuild_parameter", rebuildParameter),
    new Global("torch._utils._rebuild_parameter_with_state", rebuildParameter),
    new Global("torch._tensor._rebuild_from_type_v2", rebuildFromType),
    new Global("torch.Tensor"),
    new Global("torch.nn.parameter.Parameter"),
    new Global("collections.OrderedDict", orderedDict),
    new Global("torch.Size", ([sizes, ...rest]) =>
      sizes instanceof Tuple && rest.length === 0 ? sizes : fail("torch.Size of what is no tuple"),
    ),
    new Global("torch.device", ([kind]) => (typeof kind === "string" ? kind : fail("torch.device of what is no text"))),
  ].map((entry) => [entry.name, entry]),
);

/** What a name in a checkpoint stands for; undefined for everything that is not data. */
export const torchGlobal = (module: string, name: string): Global | undefined => known.get(`${module}.${name}`);

/** A storage from its persistent id: ("storage", class, key, device, elements), and in old files the part of it. */
export function torchStorage(id: PickleValue): TorchStorage {
  const [kind, made, key, , total, part = null, ...rest] = id instanceof Tuple ? id.items : [];
  if (kind !== "storage" || !(made instanceof StorageClass) || typeof key !== "string" || rest.length > 0) {
    return fail("a persistent id is that of no storage");
  }
  if (!isCount(total)) return fail("the size of a storage is no count");
  if (part === null) return new TorchStorage(key, made.dtype, total);
  const [, first, count] = part instanceof Tuple ? part.items : [];
  if (!isCount(first) || !isCount(count) || first + count > total) {
    return fail("a part of a storage does not lie within it");
  }
  return new TorchStorage(key, made.dtype, total, first, count);
}

/** (storage, offset, size, stride, ...), and with version 3 of it a type of elements that the storage does not know. */
function rebuildTensor(args: readonly PickleValue[]): TorchTensor {
  const [storage, offset, size, stride] = args;
  const type = args.find((arg) => arg instanceof ElementType);
  if (!(storage instanceof TorchStorage)) return fail("a tensor without a storage");
  if (!isCount(offset)) return fail("a tensor's offset is no count");
  const shape = counts(size);
  const strides = counts(stride);
  if (shape.length !== strides.length) return fail("a tensor has not as many strides as axes");
  if (!Number.isSafeInteger(sizeOf(shape))) return fail("a tensor's shape is too large");
  return new TorchTensor(storage, type?.dtype ?? storage.dtype, offset, shape, strides);
}

function rebuildParameter([tensor]: readonly PickleValue[]): TorchTensor {
  return tensor instanceof TorchTensor ? tensor : fail("a parameter without a tensor");
}

/** (function, class, arguments, state): tensors with attributes of their own. */
function rebuildFromType([made, , args]: readonly PickleValue[]): TorchTensor {
  const isRebuild = made instanceof Global && /^torch\._utils\._rebuild_tensor(_v[23])?$/.test(made.name);
  return isRebuild && args instanceof Tuple ? rebuildTensor(args.items) : fail("a tensor is made in an unknown way");
}

/** Empty, or from a list of pairs, as Python 2 wrote it. */
function orderedDict([items]: readonly PickleValue[], spend: (items: number) => void): Map<PickleValue, PickleValue> {
  const out = new Map<PickleValue, PickleValue>();
  if (items === undefined) return out;
  if (!Array.isArray(items)) return fail("a dictionary of what is no list");
  spend(items.length);
  for (const item of items) {
    const pair = item instanceof Tuple ? item.items : item;
    if (!Array.isArray(pair) || pair.length !== 2) return fail("an item of a dictionary is no pair");
    out.set(pair[0], pair[1]);
  }
  return out;
}

const mostAxes = 64;

function counts(value: PickleValue | undefined): readonly number[] {
  const items = value instanceof Tuple ? value.items : value;
  if (!Array.isArray(items) || items.length > mostAxes || !items.every(isCount)) {
    return fail("a tensor's sizes are no tuple of counts");
  }
  return items as number[];
}

const isCount = (value: PickleValue | undefined): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function fail(why: string): never {
  throw new PickleError(why);
}
