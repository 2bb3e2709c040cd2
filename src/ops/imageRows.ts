import { invariant } from "../core/invariant.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Operand, type Tensor, type Window } from "../graph/graph.js";
import { affineKernel } from "./affine.js";

/** Rows of an image, from the first to before the second. */
export type Range = readonly [first: number, end: number];

/** Rows of an image that lie in several tensors. */
export interface Rows {
  /** One of the tensors: the graph, the element type and, but for the count of rows, the shape are those of all. */
  readonly like: Tensor;
  /** How many rows. */
  readonly count: number;
  /** What they consist of, from the top, and at which row each piece begins. */
  readonly pieces: readonly { readonly window: Window; readonly at: number }[];
}

/** An image [1, H, W, C] in tensors of some of its rows each, the first one's at the top. */
export class BandedImage {
  readonly height: number;

  constructor(private readonly bands: readonly Tensor[]) {
    this.height = bands.reduce((sum, { shape }) => sum + shape[1]!, 0);
  }

  part([first, end]: Range): Rows {
    const { height, bands } = this;
    invariant(first >= 0 && first < end && end <= height, `rows ${first} to ${end} of an image of ${height}`);
    const pieces: { window: Window; at: number }[] = [];
    let top = 0;
    for (const band of bands) {
      const rows = band.shape[1]!;
      const [from, to] = [Math.max(first, top), Math.min(end, top + rows)];
      if (from < to) pieces.push({ window: rowsOf(band, from - top, to - top), at: from - first });
      top += rows;
    }
    return { like: bands[0]!, count: end - first, pieces };
  }

  /** Rows as one tensor [1, rows, W, C]: a band itself, or a copy. */
  rows(range: Range): Tensor {
    const part = this.part(range);
    const { window } = part.pieces[0]!;
    if (part.pieces.length === 1 && window.length === sizeOf(window.tensor.shape)) return window.tensor;
    const copy = emptyRows(part);
    for (const { window: piece, at } of part.pieces) {
      const { tensor, length } = piece;
      emitCopy(piece, { ...piece, tensor: copy, offset: at * lineOf(tensor) }, copy, length);
    }
    return copy;
  }
}

/** A tensor for rows. */
export const emptyRows = ({ like, count }: Rows): Tensor => {
  const [width, channels] = like.shape.slice(-2) as [number, number];
  return like.graph.empty([1, count, width, channels], like.dtype);
};

/** Elements of a row. */
export const lineOf = ({ shape }: Tensor): number => shape.at(-2)! * shape.at(-1)!;

/** A whole tensor [1, rows, W, C] as rows. */
export const allRows = (rows: Tensor): Rows => ({
  like: rows,
  count: rows.shape[1]!,
  pieces: [{ window: { tensor: rows, offset: 0, length: sizeOf(rows.shape) }, at: 0 }],
});

/** Writes rows [1, rows, W, C] over those of an image [1, H, W, C] that begin with `first`. */
export function writeRows(image: Tensor, first: number, rows: Tensor): void {
  const same = rows.shape.at(-1) === image.shape.at(-1) && rows.shape.at(-2) === image.shape.at(-2);
  invariant(same, `writeRows: rows are ${showShape(rows.shape)}, of an image ${showShape(image.shape)}`);
  emitCopy(rows, rowsOf(image, first, first + rows.shape[1]!), rows, sizeOf(rows.shape));
}

const rowsOf = (tensor: Tensor, first: number, end: number): Window => {
  const line = lineOf(tensor);
  return { tensor, offset: first * line, length: (end - first) * line };
};

function emitCopy(x: Operand, y: Operand, { graph, dtype }: Tensor, count: number): void {
  graph.emit(affineKernel, {
    reads: { x },
    writes: { y },
    params: { count, size: count, scale: 1, shift: 0 },
    consts: { T: dtype, O: dtype },
    grid: linearGrid(ceilDiv(count, 256)),
  });
}
