import { dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { rowAlignment, splitRows } from "./bands.js";

/** Params of the kernels that resize: sizes of the input, and where a band begins. */
export const sizes = { count: "u32", channels: "u32", height: "u32", width: "u32" } as const;
export const window = { firstRow: "u32", firstSource: "u32" } as const;
export const outSizes = { ...sizes, outHeight: "u32", outWidth: "u32" } as const;

/** The shape of a picture [N, H, W, C], or an error in the name of the op. */
export function image(x: Tensor, op: string): [number, number, number, number] {
  invariant(x.shape.length === 4, `${op}: input is ${showShape(x.shape)}, expected [N, H, W, C]`);
  return x.shape as [number, number, number, number];
}

/**
 * What one call works on: all at once where one binding spans both tensors, else bands of rows of y with the rows of x
 * that they need. `sourceRows` gives these for a row of y in one image, as a half-open range.
 */
export function calls(x: Tensor, y: Tensor, sourceRows: (row: number) => readonly [number, number]) {
  const { graph, dtype } = x;
  const [n, height, width, channels] = x.shape as [number, number, number, number];
  const [, outHeight, outWidth] = y.shape as [number, number, number];
  const [line, outLine] = [width * channels, outWidth * channels]; // elements of a row
  const bytes = dtypeBytes[dtype];
  const step = rowAlignment(line * bytes);
  const whole = sizeOf(x.shape) * bytes <= graph.maxBinding;
  const byOutput = Math.floor(graph.maxBinding / (outLine * bytes));
  // A band's source is a little larger than its share: some rows to spare, and up to where a window may start.
  const bySource = Math.floor(((graph.maxBinding / (line * bytes) - 5 - step) * outHeight) / height);
  const most = Math.max(1, Math.min(byOutput, whole ? Number.POSITIVE_INFINITY : bySource));
  return splitRows(n * outHeight, outLine * bytes, most).map(({ first, count }) => {
    const last = first + count - 1;
    const begin = Math.floor(first / outHeight) * height + sourceRows(first % outHeight)[0];
    const end = Math.floor(last / outHeight) * height + sourceRows(last % outHeight)[1];
    const start = whole ? 0 : Math.floor(begin / step) * step;
    const rows = whole ? n * height : end - start;
    return {
      reads: { x: { tensor: x, offset: start * line, length: rows * line } },
      writes: { y: { tensor: y, offset: first * outLine, length: count * outLine } },
      sizes: { count: count * outLine, channels, height, width, firstRow: first, firstSource: start },
      consts: { T: dtype },
      grid: linearGrid(ceilDiv(count * outLine, 256)),
    };
  });
}
