import { type DType, dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import type { ConstValues, Kernel } from "../core/kernel.js";
import type { MatrixUnits } from "../core/matrixUnits.js";
import { type Shape, sameShape, showShape, sizeOf } from "../core/shape.js";
import type { TuningTable } from "../core/tuningTable.js";
import type { WinogradForm } from "../core/winogradForm.js";

/** When a value is known: from the weights alone, once the prompt is there, or anew at each denoising step. */
export type Phase = "load" | "prompt" | "step";

export const phases: readonly Phase[] = ["load", "prompt", "step"];

/** A handle on a storage of a graph: it owns no memory. Activations are [N, H, W, C] or [N, T, C]. */
export interface Tensor {
  /** The graph that made it. */
  readonly graph: Graph;
  /** Index of its storage in the graph. */
  readonly id: number;
  /** Lengths of the axes, outermost first. */
  readonly shape: Shape;
  /** Element type on the device. */
  readonly dtype: DType;
}

/** Part of a tensor, in elements of its flat order; the byte offset must be a multiple of 256. */
export interface Window {
  /** The tensor that it is a part of. */
  readonly tensor: Tensor;
  /** First element. */
  readonly offset: number;
  /** Number of elements. */
  readonly length: number;
}

/** How a weight lies on the device. */
export type WeightLayout =
  /** As in the file. */
  | "plain"
  /** Convolution: [O, I, KH, KW] in the file becomes [O, KH, KW, I]. */
  | "conv";

/** A tensor of the checkpoint that the graph asks for, by the checkpoint's own name. */
export interface WeightRequest {
  /** Name in the checkpoint, such as `conv_in.weight`. */
  readonly name: string;
  /** Shape in the file. */
  readonly shape: Shape;
  /** How it lies on the device. */
  readonly layout: WeightLayout;
  /** Element type on the device. */
  readonly dtype: DType;
}

/** What a graph keeps of everything that holds values. */
export interface Storage {
  /** Its index among the storages. */
  readonly id: number;
  /** `state` lives on between steps and is updated in place. */
  readonly kind: "weight" | "input" | "state" | "intermediate";
  /** Element type on the device. */
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  /** Name in messages; of a weight, that of the checkpoint. */
  readonly label: string;
  /** Phase from which on the value is known; for an intermediate that of the calls that write it. */
  phase: Phase;
  /** Of weights: what was asked for. */
  readonly weight?: WeightRequest;
}

/** One kernel applied once: plain data. */
export interface Call {
  /** What runs. */
  readonly kernel: Kernel;
  /** In the kernel's order; undefined: an absent optional input, to which the shared zero buffer is bound. */
  readonly reads: readonly (Window | undefined)[];
  /** In the kernel's order. */
  readonly writes: readonly Window[];
  /** Values of the uniform `Params`. */
  readonly params: Readonly<Record<string, number>>;
  /** Values of the constants that the shader text is specialised with. */
  readonly consts: ConstValues;
  /** Workgroups along x, y and z. */
  readonly grid: readonly [number, number, number];
  /** When it runs: the latest phase among the things it reads and writes. */
  readonly phase: Phase;
  /** Kernel and weight, for messages, traces and profiles. */
  readonly label: string;
}

/** Ops whose forms can be chosen by what was measured. */
export type TunedOp = "conv2d" | "linear" | "attention" | "groupNorm";

/** Chooses the forms of ops while they record, in place of what device and shape say. */
export interface FormChooser {
  /** What it chooses by. */
  readonly table?: TuningTable;
  /** The options to record with: as they came, or with a form among them. */
  choose<O extends object>(op: TunedOp, inputs: readonly Tensor[], options: O): O;
}

/** How a graph records; `graphOptions(device, dtype)` gives what suits a device. */
export interface GraphOptions {
  /** Element type of activations and of weights with two or more axes. */
  readonly dtype: DType;
  /** Largest range that one binding may span, in bytes. Larger tensors are worked on in bands. */
  readonly maxBinding?: number;
  /** The adapter runs on a CPU: ops choose variants without workgroup memory and barriers. */
  readonly software?: boolean;
  /** The adapter's matrix units: ops choose variants that use them, in f16. */
  readonly matrix?: MatrixUnits | undefined;
  /** Invocations of a subgroup, where the device has subgroups of one size: forms for CPUs share loads among them. */
  readonly subgroup?: number | undefined;
  /** Winograd's form of convolution, where it was fetched; without, convolutions do not take it. */
  readonly winograd?: WinogradForm<Tensor> | undefined;
  /** What tuning found; without, device and shape decide. */
  readonly forms?: FormChooser | undefined;
}

/** What a call reads or writes: a tensor, or a part of one. */
export type Operand = Tensor | Window;

const isWindow = (operand: Operand): operand is Window => "tensor" in operand;
const asWindow = (operand: Operand): Window =>
  isWindow(operand) ? operand : { tensor: operand, offset: 0, length: sizeOf(operand.shape) };

/** Bindings start at multiples of this many bytes. */
export const bindingAlignment = 256;

/** A program being recorded: storages, and calls in order. */
export class Graph {
  /** Element type of activations and of weights with two or more axes. */
  readonly dtype: DType;
  /** Largest range that one binding may span, in bytes; 128 MiB by default. */
  readonly maxBinding: number;
  /** The adapter runs on a CPU. */
  readonly software: boolean;
  /** The adapter's matrix units, where it has some that multiply f16. */
  readonly matrix: MatrixUnits | undefined;
  /** Invocations of a subgroup, where the device has subgroups of one size. */
  readonly subgroup: number | undefined;
  /** Winograd's form of convolution, where it was fetched. */
  readonly winograd: WinogradForm<Tensor> | undefined;
  /** Chooses forms, where they were tuned. */
  readonly forms: FormChooser | undefined;
  /** Everything that holds values, by tensor id. */
  readonly storages: Storage[] = [];
  /** In the order in which they run within their phases. */
  readonly calls: Call[] = [];
  /** Ids of tensors that stay readable after their phase. */
  readonly outputs = new Set<number>();
  private readonly weights = new Map<string, Tensor>();

  constructor(options: GraphOptions) {
    this.dtype = options.dtype;
    this.maxBinding = options.maxBinding ?? 128 * 2 ** 20;
    this.software = options.software ?? false;
    this.matrix = options.dtype === "f16" ? options.matrix : undefined;
    this.subgroup = options.subgroup;
    this.winograd = options.winograd;
    this.forms = options.forms;
  }

  /** A value written from outside before a phase runs. */
  input(label: string, shape: Shape, dtype: DType, phase: "prompt" | "step"): Tensor {
    return this.add("input", label, shape, dtype, phase);
  }

  /** A value that stays on the device from step to step and that kernels update in place. */
  state(label: string, shape: Shape, dtype: DType = "f32"): Tensor {
    return this.add("state", label, shape, dtype, "step");
  }

  /** A tensor of the checkpoint. Asking twice gives the same storage. */
  weight(request: WeightRequest): Tensor {
    const known = this.weights.get(request.name);
    if (known) {
      const { weight } = this.storage(known);
      const same =
        weight &&
        sameShape(weight.shape, request.shape) &&
        weight.layout === request.layout &&
        weight.dtype === request.dtype;
      invariant(same, `${request.name}: asked for in two different ways`);
      return known;
    }
    const [o, i, h, w] = request.shape;
    const shape = request.layout === "conv" ? [o!, h!, w!, i!] : request.shape;
    const tensor = this.add("weight", request.name, shape, request.dtype, "load", request);
    this.weights.set(request.name, tensor);
    return tensor;
  }

  /** An intermediate value, not yet written. */
  empty(shape: Shape, dtype: DType = this.dtype, label = ""): Tensor {
    return this.add("intermediate", label, shape, dtype, "load");
  }

  /** Keeps a value readable after its phase has run. */
  output<T extends Tensor>(tensor: T): T {
    this.outputs.add(tensor.id);
    return tensor;
  }

  /** The storage behind a tensor. @throws WebldmError for a tensor of another graph. */
  storage(tensor: Tensor): Storage {
    invariant(tensor.graph === this, "a tensor was used in another graph than the one that made it");
    return this.storages[tensor.id]!;
  }

  /** The checkpoint tensors that the calls so far ask for. */
  requests(): WeightRequest[] {
    return this.storages.flatMap((storage) => storage.weight ?? []);
  }

  /** Records one call. Operands may be windows of tensors; a kernel's writes must be `empty`, `state` or windows of these. */
  emit<R extends string, W extends string, P extends string, C extends string>(
    kernel: Kernel<R, W, P, C>,
    call: {
      readonly reads: Readonly<Record<R, Operand | undefined>>;
      readonly writes: Readonly<Record<W, Operand>>;
      readonly params: Readonly<Record<P, number>>;
      readonly consts: Readonly<Record<C, string | number>>;
      readonly grid: readonly [number, number?, number?];
      /** Earliest phase to run in, for what takes less time to compute again than memory to keep. */
      readonly phase?: Phase;
    },
  ): void {
    const reads = kernel.reads.map((name) => (call.reads[name] ? asWindow(call.reads[name]) : undefined));
    const writes = kernel.writes.map((name) => asWindow(call.writes[name]));
    let phase = phases.indexOf(call.phase ?? "load");
    let label = kernel.name;
    for (const [i, read] of reads.entries()) {
      if (!read) continue;
      this.checkWindow(kernel.name, kernel.reads[i]!, read);
      const storage = this.storage(read.tensor);
      phase = Math.max(phase, phases.indexOf(storage.phase));
      if (storage.kind === "weight" && label === kernel.name) label += ` ${storage.label.replace(/\.weight$/, "")}`;
    }
    for (const write of writes) {
      const { kind, phase: written } = this.storage(write.tensor);
      invariant(kind === "intermediate" || kind === "state", `${kernel.name}: writes into a ${kind}`);
      phase = Math.max(phase, phases.indexOf(written));
    }
    for (const [i, write] of writes.entries()) {
      this.checkWindow(kernel.name, kernel.writes[i]!, write);
      this.storage(write.tensor).phase = phases[phase]!;
    }
    const [x, y = 1, z = 1] = call.grid;
    invariant(
      [x, y, z].every((n) => Number.isInteger(n) && n > 0 && n <= 65535),
      `${kernel.name}: a grid of ${x} x ${y} x ${z} workgroups; each count must be from 1 to 65535`,
    );
    for (const [name, type] of Object.entries(kernel.params)) {
      const value = call.params[name as P];
      const fits =
        type === "f32" ? typeof value === "number" : Number.isInteger(value) && (type === "i32" || value >= 0);
      invariant(fits, `${kernel.name}: param ${name} is ${value}, not of type ${type}`);
    }
    this.calls.push({
      kernel: kernel as unknown as Kernel,
      reads,
      writes,
      params: call.params,
      consts: call.consts,
      grid: [x, y, z],
      phase: phases[phase]!,
      label,
    });
  }

  private add(
    kind: Storage["kind"],
    label: string,
    shape: Shape,
    dtype: DType,
    phase: Phase,
    weight?: WeightRequest,
  ): Tensor {
    invariant(
      shape.every((axis) => Number.isInteger(axis) && axis > 0),
      `${label || "tensor"}: shape ${showShape(shape)} has an axis that is no positive integer`,
    );
    const id = this.storages.length;
    this.storages.push({ id, kind, dtype, size: sizeOf(shape), label, phase, ...(weight ? { weight } : {}) });
    return Object.freeze({ graph: this, id, shape, dtype });
  }

  private checkWindow(kernel: string, name: string, { tensor, offset, length }: Window): void {
    const bytes = dtypeBytes[tensor.dtype];
    const inside = offset >= 0 && length > 0 && offset + length <= this.storage(tensor).size;
    invariant(inside, `${kernel}: ${name} spans ${offset}..${offset + length} of ${showShape(tensor.shape)}`);
    invariant(
      (offset * bytes) % bindingAlignment === 0,
      `${kernel}: ${name} starts at byte ${offset * bytes}, not a multiple of 256`,
    );
    invariant(
      length * bytes <= this.maxBinding,
      `${kernel}: ${name} ${showShape(tensor.shape)} takes ${length * bytes} bytes, a binding of this adapter holds ${this.maxBinding}`,
    );
  }
}

/** The same storage under another shape of equal size; costs nothing. */
export function reshape(tensor: Tensor, shape: Shape): Tensor {
  invariant(
    sizeOf(shape) === sizeOf(tensor.shape),
    `reshape: ${showShape(tensor.shape)} does not hold as many elements as ${showShape(shape)}`,
  );
  return Object.freeze({ ...tensor, shape });
}

/** Folds a count of workgroups into a grid within the limit of 65,535 an axis; kernels index by `y * num_workgroups.x + x`. */
export function linearGrid(count: number): [number, number] {
  if (count <= 65535) return [count, 1];
  const rows = Math.ceil(count / 65535);
  return [Math.ceil(count / rows), rows];
}
