import { dtypeBytes } from "../core/dtype.js";
import { alignUp, type Shape, sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import type { Graph, Tensor } from "../graph/graph.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import type { WeightBuffers } from "./upload.js";

/** The plans and buffers of a decoder or encoder. */
export class StageParts {
  private readonly owned: { dispose(): void }[] = [];

  private constructor(
    readonly device: Device,
    private readonly pool: SlotPool,
    private readonly weights: WeightBuffers,
  ) {}

  /** Frees what was made so far where making the rest fails. */
  static async build<T>(
    device: Device,
    pool: SlotPool,
    weights: WeightBuffers,
    make: (parts: StageParts) => Promise<T>,
  ): Promise<T> {
    const parts = new StageParts(device, pool, weights);
    try {
      return await make(parts);
    } catch (error) {
      parts.dispose();
      pool.reset();
      throw error;
    }
  }

  async compile(graph: Graph, bind?: ReadonlyMap<Tensor, GPUBuffer>): Promise<Plan> {
    const { pool, weights } = this;
    const plan = await Plan.compile(this.device, graph, { pool, weights: weights.buffers, ...(bind ? { bind } : {}) });
    this.owned.push(plan);
    return plan;
  }

  buffer(label: string, shape: Shape, dtype: keyof typeof dtypeBytes = "f32"): GPUBuffer {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.device.buffer(label, alignUp(sizeOf(shape) * dtypeBytes[dtype], 16), usage);
    this.owned.push({ dispose: () => buffer.destroy() });
    return buffer;
  }

  get plans(): readonly Plan[] {
    return this.owned.filter((part) => part instanceof Plan);
  }

  dispose(): void {
    for (const part of this.owned) part.dispose();
    this.owned.length = 0;
  }
}

/** Of latents, pictures in f32, and RGBA alike: four bytes an element. */
export const bytesOf = (shape: Shape): number => sizeOf(shape) * 4;

export const floats = (bytes: Uint8Array): Float32Array =>
  new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
