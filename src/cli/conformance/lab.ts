import type { DType } from "../../core/dtype.js";
import { toHalf } from "../../core/half.js";
import { sizeOf } from "../../core/shape.js";
import type { Device } from "../../gpu/device.js";
import { Graph, type GraphOptions, type Tensor } from "../../graph/graph.js";
import { Scope } from "../../graph/scope.js";
import { winograd } from "../../ops/conv2dWinograd.js";
import { wantsWinograd } from "../../pipeline/settings.js";
import { uploadWeights } from "../../pipeline/upload.js";
import { graphOptions } from "../../plan/options.js";
import { Plan } from "../../plan/plan.js";
import { SlotPool } from "../../plan/pool.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import type { Precision } from "./compare.js";
import type { Values } from "./values.js";

/** Where a program is recorded. */
export interface Recorder {
  readonly graph: Graph;
  /** The root of the weights' names. */
  readonly scope: Scope;
  /** A value given at the start, in the device's order of axes. */
  input(values: Values, dtype?: DType): Tensor;
}

export interface ProgramOptions {
  /** Element type of the graph; that of the lab when absent. */
  readonly dtype?: Precision;
  readonly weights?: ReadonlyMap<string, StoredTensor>;
  /** Tensors of the file that the program has no use for. */
  readonly ignore?: (name: string) => boolean;
  /** For messages. */
  readonly component?: string;
}

/** A program on the device that can be run in steps. */
export interface Session<T> {
  readonly tensors: T;
  write(tensor: Tensor, values: Values): void;
  read(tensor: Tensor): Promise<Values>;
  run(phase: "prompt" | "step"): void;
  dispose(): void;
}

/** A device on which reference cases run, in one precision. */
export class Lab {
  private readonly pool: SlotPool;

  constructor(
    readonly device: Device,
    readonly precision: Precision,
    /** Overrides the forms of kernels that the product would choose on this device. */
    private readonly forms: Pick<GraphOptions, "software"> = {},
  ) {
    this.pool = new SlotPool(device);
  }

  /** How to record graphs for this device. */
  graphOptions(dtype: Precision = this.precision): GraphOptions {
    const options = { ...graphOptions(this.device, dtype), ...this.forms };
    return wantsWinograd(options) ? { ...options, winograd } : options;
  }

  /** Records and compiles a program, writes its inputs and its weights. */
  async open<T extends Readonly<Record<string, Tensor>>>(
    options: ProgramOptions,
    record: (recorder: Recorder) => T,
  ): Promise<Session<T>> {
    const { device, pool } = this;
    const { dtype, weights = new Map(), ignore, component = "weights" } = options;
    const graph = new Graph(this.graphOptions(dtype));
    const inputs: [Tensor, Values][] = [];
    const input = (values: Values, type: DType = "f32") => {
      const tensor = graph.input(`input ${inputs.length}`, values.shape, type, "step");
      inputs.push([tensor, values]);
      return tensor;
    };
    const tensors = record({ graph, scope: new Scope(graph), input });
    for (const tensor of Object.values(tensors)) {
      if (graph.storage(tensor).kind === "intermediate") graph.output(tensor);
    }
    const uploadOptions = { component, ...(ignore ? { ignore } : {}) };
    const uploaded = await uploadWeights(device, graph.requests(), weights, uploadOptions);
    try {
      const plan = await Plan.compile(device, graph, { pool, weights: uploaded.buffers });
      const write = (tensor: Tensor, values: Values) => plan.write(tensor, encode(values, tensor.dtype));
      for (const [tensor, values] of inputs) write(tensor, values);
      return {
        tensors,
        write,
        read: async (tensor) => ({ shape: tensor.shape, data: await plan.read(tensor) }),
        run: (phase) => plan.run(phase),
        dispose: () => {
          plan.dispose();
          uploaded.dispose();
        },
      };
    } catch (error) {
      uploaded.dispose();
      throw error;
    }
  }

  /** Runs a program once and reads the tensors it returns. */
  async run<T extends Readonly<Record<string, Tensor>>>(
    options: ProgramOptions,
    record: (recorder: Recorder) => T,
  ): Promise<Record<keyof T, Values>> {
    const session = await this.open(options, record);
    try {
      session.run("prompt");
      session.run("step");
      const results: [string, Values][] = [];
      for (const [name, tensor] of Object.entries(session.tensors)) results.push([name, await session.read(tensor)]);
      return Object.fromEntries(results) as Record<keyof T, Values>;
    } finally {
      session.dispose();
    }
  }

  dispose(): void {
    this.pool.dispose();
  }
}

function encode({ shape, data }: Values, dtype: DType) {
  const count = sizeOf(shape);
  if (dtype === "u32") return Uint32Array.from({ length: count }, (_, i) => data[i]!);
  if (dtype === "f16") return Uint16Array.from({ length: count }, (_, i) => toHalf(data[i]!));
  return Float32Array.from({ length: count }, (_, i) => data[i]!);
}
