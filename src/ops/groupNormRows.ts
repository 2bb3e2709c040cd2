import { invariant } from "../core/invariant.js";
import { ceilDiv, sizeOf } from "../core/shape.js";
import type { Graph, Tensor } from "../graph/graph.js";
import { linearGrid } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { type Activation, activations } from "./activation.js";
import { channelBlocks, groupNormApplyKernel, groupNormScaleKernel, groupNormStatsKernel } from "./groupNorm.js";
import { allRows, emptyRows, lineOf, type Rows } from "./imageRows.js";
import { reductionWorkgroup } from "./workgroup.js";

/** Workgroups that take the statistics of one band, at least where it is large enough. */
const wantedWorkgroups = 128;

/** Means and variances of an image [1, H, W, C] that is never there as a whole, gathered band by band. */
export class RowMoments {
  private readonly stats: Tensor;
  private readonly chunkPixels: number;
  private readonly chunks: number;

  /**
   * @param shape of the image, [H, W, C]
   * @param rows of each band but the last
   */
  constructor(
    private readonly graph: Graph,
    private readonly shape: readonly [number, number, number],
    private readonly groups: number,
    private readonly rows: number,
  ) {
    const [height, width] = shape;
    // A power of two that divides a band, so that each begins with a chunk.
    const most = Math.max(1, Math.floor((rows * width) / wantedWorkgroups));
    let chunk = 1;
    while (chunk * 2 <= most && (rows * width) % (chunk * 2) === 0) chunk *= 2;
    this.chunkPixels = chunk;
    this.chunks = ceilDiv(height * width, chunk);
    this.stats = graph.empty([1, groups, this.chunks, 2], "f32");
  }

  /** Takes in the rows `x` [1, rows, W, C], which begin with row `first` of the image. */
  add(x: Tensor, first: number): void {
    const { graph, groups, chunkPixels, chunks } = this;
    const [, width, channels] = this.shape;
    invariant(
      first % this.rows === 0,
      `RowMoments: a band begins with row ${first}, expected a multiple of ${this.rows}`,
    );
    const { blocks, blockGroups, vector } = channelBlocks(groups, channels / groups);
    const pixels = sizeOf(x.shape) / channels;
    graph.emit(groupNormStatsKernel, {
      reads: { x },
      writes: { stats: this.stats },
      params: {
        pixels,
        channels,
        groupSize: channels / groups,
        blockGroups,
        chunkPixels,
        chunks,
        firstChunk: (first * width) / chunkPixels,
        image: 0,
      },
      consts: { T: x.dtype, WORKGROUP: reductionWorkgroup(graph, 256), VECTOR: vector ? 1 : 0 },
      grid: [ceilDiv(pixels, chunkPixels), blocks, 1],
    });
  }

  /** Scale and shift of each channel [1, C, 2] of the norm at `w`, once every band is taken in. */
  scaleShift(w: Scope, eps: number): Tensor {
    const { graph, groups, chunkPixels, chunks } = this;
    const [height, width, channels] = this.shape;
    const scaleShift = graph.empty([1, channels, 2], "f32");
    graph.emit(groupNormScaleKernel, {
      reads: {
        stats: this.stats,
        weight: w.vector("weight", channels),
        bias: w.vector("bias", channels),
        modulation: undefined,
      },
      writes: { scaleShift },
      params: { channels, groupSize: channels / groups, pixels: height * width, chunkPixels, chunks, eps },
      consts: { MODULATED: 0, WORKGROUP: reductionWorkgroup(graph, 64) },
      grid: [groups, 1],
    });
    return scaleShift;
  }
}

/** Rows, scaled and shifted by channel and activated: [1, rows, W, C]. */
export function normRows(x: Rows | Tensor, scaleShift: Tensor, act: Activation): Tensor {
  const rows = "pieces" in x ? x : allRows(x);
  const { graph, dtype, shape } = rows.like;
  const channels = shape.at(-1)!;
  const y = emptyRows(rows);
  for (const { window, at } of rows.pieces) {
    const { length } = window;
    graph.emit(groupNormApplyKernel, {
      reads: { x: window, scaleShift },
      writes: { y: { tensor: y, offset: at * lineOf(y), length } },
      params: { count: length, channels, imageSize: length, image: 0 },
      consts: { T: dtype, ACT: activations[act], VECTOR: channels % 4 === 0 ? 1 : 0, IN_PLACE: 0 },
      grid: linearGrid(ceilDiv(length, 1024)),
    });
  }
  return y;
}
