import type { Graph, Tensor } from "../graph/graph.js";
import type { Plan } from "../plan/plan.js";
import type { StageParts } from "./stageParts.js";
import { type TileGrid, tileSize, tileSizes } from "./tileGrid.js";

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

/** Compiles a program for each size of tile. Inputs and states of one label are one buffer to all of them. */
export async function compileTiles<P extends TileProgram>(
  parts: StageParts,
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
      if (!shared.has(label)) shared.set(label, parts.buffer(label, [size], dtype));
      bind.set({ graph, id, shape: [size], dtype }, shared.get(label)!);
    }
    bySize.set(key, { plan: await parts.compile(graph, bind), program });
  }
  return new TilePrograms(grid, bySize);
}
