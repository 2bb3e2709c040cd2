import type { DType } from "../core/dtype.js";
import { sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { Graph, type Storage, type Tensor } from "../graph/graph.js";
import { storageBytes } from "../plan/lifetimes.js";
import { Plan } from "../plan/plan.js";
import { SlotPool } from "../plan/pool.js";
import type { Candidate } from "./candidates.js";
import { always } from "./choosers.js";
import { type Instance, recordAlone } from "./instance.js";
import type { RandomData } from "./randomData.js";

/** An op in one form, compiled. */
export interface Compiled {
  readonly plan: Plan;
  readonly dtype: DType;
  /** Runs it, and reads what came out. */
  result(): Promise<Uint8Array>;
}

/** One op by itself on the device, in several forms, which read the same random numbers. */
export class Trial {
  private readonly pool: SlotPool;
  private readonly buffers = new Map<string, GPUBuffer>();
  private readonly plans: Plan[] = [];

  constructor(
    private readonly device: Device,
    private readonly instance: Instance,
    private readonly data: RandomData,
  ) {
    this.pool = new SlotPool(device);
  }

  /** @throws WebldmError where the op, or the device, does not take the form */
  async compile(candidate: Candidate): Promise<Compiled> {
    const { device, pool } = this;
    const { dtype, maxBinding, software, matrix, subgroup } = this.instance.inputs[0]!.graph;
    const graph = new Graph({ dtype, maxBinding, software, matrix, subgroup, forms: always(candidate) });
    const y = graph.output(recordAlone(graph, this.instance));
    const bind = new Map<Tensor, GPUBuffer>();
    for (const storage of graph.storages) {
      if (storage.kind !== "input" && storage.kind !== "weight") continue;
      const { id, kind, size, dtype } = storage;
      const buffer = this.buffer(graph, storage);
      if (kind === "input") bind.set({ graph, id, shape: [size], dtype }, buffer);
    }
    const plan = await Plan.compile(device, graph, { pool, weights: this.buffers, bind });
    this.plans.push(plan);
    const result = () => {
      plan.run("step");
      return plan.readBytes(y);
    };
    return { plan, dtype: y.dtype, result };
  }

  dispose(): void {
    for (const plan of this.plans) plan.dispose();
    this.pool.dispose();
    for (const buffer of this.buffers.values()) buffer.destroy();
  }

  private buffer(graph: Graph, { id, label, dtype, weight }: Storage): GPUBuffer {
    const known = this.buffers.get(label);
    if (known) return known;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.device.buffer(label, storageBytes(graph, id), usage);
    this.buffers.set(label, buffer);
    // Sums over weights are then about as large as what they sum.
    const shape = weight?.shape ?? [];
    const inner = shape.length > 1 ? sizeOf(shape) / shape[0]! : 1;
    this.data.fill(buffer, dtype, 2 ** Math.floor(Math.log2(Math.sqrt(3 / Math.max(3, inner)))));
    return buffer;
  }
}
