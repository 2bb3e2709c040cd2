import { invariant } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import type { Graph, Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import type { Activation } from "./activation.js";
import { applyNorm, Moments } from "./groupNormSteps.js";
import { allRows, emptyRows, lineOf, type Rows } from "./imageRows.js";

/** Workgroups that take the statistics of one band, at least where it is large enough. */
const wantedWorkgroups = 128;

/** Means and variances of an image [1, H, W, C] that is never there as a whole, gathered band by band. */
export class RowMoments {
  private readonly moments: Moments;
  private readonly chunkPixels: number;

  /**
   * @param shape of the image, [H, W, C]
   * @param rows of each band but the last
   */
  constructor(
    graph: Graph,
    private readonly shape: readonly [number, number, number],
    groups: number,
    private readonly rows: number,
  ) {
    const [height, width, channels] = shape;
    // A power of two that divides a band, so that each begins with a chunk.
    const most = Math.max(1, Math.floor((rows * width) / wantedWorkgroups));
    let chunkPixels = 1;
    while (chunkPixels * 2 <= most && (rows * width) % (chunkPixels * 2) === 0) chunkPixels *= 2;
    this.chunkPixels = chunkPixels;
    this.moments = new Moments(graph, { images: 1, pixels: height * width, channels, groups, chunkPixels });
  }

  /** Takes in the rows `x` [1, rows, W, C], which begin with row `first` of the image. */
  add(x: Tensor, first: number): void {
    const { rows, chunkPixels } = this;
    const [, width, channels] = this.shape;
    invariant(first % rows === 0, `RowMoments: a band begins with row ${first}, expected a multiple of ${rows}`);
    const length = sizeOf(x.shape);
    const firstChunk = (first * width) / chunkPixels;
    this.moments.add({ tensor: x, offset: 0, length }, { image: 0, images: 1, firstChunk, size: length / channels });
  }

  /** Scales and shifts of the channels [1, 2, C] of the norm at `w`, once every band is taken in. */
  scaleShift(w: Scope, eps: number): Tensor {
    const channels = this.shape[2];
    return this.moments.scaleShift({ weight: w.vector("weight", channels), bias: w.vector("bias", channels), eps });
  }
}

/** Rows, scaled and shifted by channel and activated: [1, rows, W, C]. */
export function normRows(x: Rows | Tensor, scaleShift: Tensor, act: Activation): Tensor {
  const rows = "pieces" in x ? x : allRows(x);
  const y = emptyRows(rows);
  for (const { window, at } of rows.pieces) {
    const { length } = window;
    const imagePixels = length / y.shape[3]!;
    applyNorm(window, { tensor: y, offset: at * lineOf(y), length }, { scaleShift, act, image: 0, imagePixels });
  }
  return y;
}
