import { dtypeBytes } from "../core/dtype.js";
import { alignUp, type Shape, sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import type { Graph, Tensor } from "../graph/graph.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { type TileGrid, tileSize, tileSizes } from "./tileGrid.js";
import type { WeightBuffers } from "./upload.js";

/** A program for one size of tile; the tensors of one name share a buffer with those of the other sizes. */
interface TileProgram {
  readonly graph: Graph;
  readonly place: Tensor;
}

/** One tile to work on. */
interface Tile<P> {
  readonly plan: Plan;
  readonly program: P;
  /** Image, row and column. */
  readonly place: Uint32Array<ArrayBuffer>;
}

/** The programs of a grid, one for each size of tile. */
class TilePrograms<P extends TileProgram> {
  constructor(
    private readonly grid: TileGrid,
    private readonly bySize: ReadonlyMap<string, { readonly plan: Plan; readonly program: P }>,
  ) {}

  /** Of the full tile. */
  get first(): P {
    return this.at(0, 0).program;
  }

  get plan(): Plan {
    return this.at(0, 0).plan;
  }

  /** Every tile of every image, in the order in which they are merged. */
  *tiles(images: number): Generator<Tile<P>> {
    const { rows, columns } = this.grid;
    for (let image = 0; image < images; image++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          yield { ...this.at(row, column), place: new Uint32Array([image, row, column, 0]) };
        }
      }
    }
  }

  private at(row: number, column: number) {
    return this.bySize.get(tileSize(this.grid, row, column).join())!;
  }
}

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

  /** Compiles a program for each size of tile. Inputs and states of one label are one buffer to all of them. */
  async tiles<P extends TileProgram>(
    grid: TileGrid,
    record: (size: readonly [number, number]) => P,
  ): Promise<TilePrograms<P>> {
    const programs = tileSizes(grid).map((size) => ({ key: size.join(), program: record(size) }));
    const shared = new Map<string, GPUBuffer>();
    const bySize = new Map<string, { plan: Plan; program: P }>();
    for (const { key, program } of programs) {
      const { graph } = program;
      const bind = new Map<Tensor, GPUBuffer>();
      for (const { id, kind, label, size, dtype } of graph.storages) {
        if (kind !== "input" && kind !== "state") continue;
        // The first program is that of the largest tile.
        if (!shared.has(label)) shared.set(label, this.buffer(label, [size], dtype));
        bind.set({ graph, id, shape: [size], dtype }, shared.get(label)!);
      }
      bySize.set(key, { plan: await this.compile(graph, bind), program });
    }
    return new TilePrograms(grid, bySize);
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
