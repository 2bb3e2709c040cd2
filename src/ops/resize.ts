import averageCode from "../../shaders/averagePool.wgsl";
import bilinearCode from "../../shaders/resizeBilinear.wgsl";
import nearestCode from "../../shaders/resizeNearest.wgsl";
import { dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { rowAlignment, splitRows } from "./bands.js";

const sizes = { count: "u32", channels: "u32", height: "u32", width: "u32" } as const;
const window = { firstRow: "u32", firstSource: "u32" } as const;
const outSizes = { ...sizes, outHeight: "u32", outWidth: "u32" } as const;

export const resizeNearestKernel = defineKernel({
  name: "resizeNearest",
  code: nearestCode,
  reads: ["x"],
  writes: ["y"],
  params: { ...outSizes, ...window },
  consts: ["T"],
});

export const resizeBilinearKernel = defineKernel({
  name: "resizeBilinear",
  code: bilinearCode,
  reads: ["x"],
  writes: ["y"],
  params: { ...outSizes, stepY: "f32", stepX: "f32", ...window },
  consts: ["T"],
});

export const averagePoolKernel = defineKernel({
  name: "averagePool",
  code: averageCode,
  reads: ["x"],
  writes: ["y"],
  params: { ...sizes, ...window },
  consts: ["T"],
});

function image(x: Tensor, op: string): [number, number, number, number] {
  invariant(x.shape.length === 4, `${op}: input is ${showShape(x.shape)}, expected [N, H, W, C]`);
  return x.shape as [number, number, number, number];
}

/**
 * What one call works on: all at once where one binding spans both tensors, else bands of rows of y with the rows of x
 * that they need. `sourceRows` gives these for a row of y in one image, as a half-open range.
 */
function calls(x: Tensor, y: Tensor, sourceRows: (row: number) => readonly [number, number]) {
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

/** Nearest-neighbour resize of [N, H, W, C] to [height, width] (PyTorch "nearest"). */
export function resizeNearest(x: Tensor, [outHeight, outWidth]: readonly [number, number]): Tensor {
  const [n, height, , channels] = image(x, "resizeNearest");
  const y = x.graph.empty([n, outHeight, outWidth, channels], x.dtype);
  const sourceRows = (row: number) => {
    const source = Math.floor((row * height) / outHeight);
    return [source, source + 1] as const;
  };
  for (const { sizes, ...call } of calls(x, y, sourceRows)) {
    x.graph.emit(resizeNearestKernel, { ...call, params: { ...sizes, outHeight, outWidth } });
  }
  return y;
}

/**
 * Bilinear resize of [N, H, W, C] with half-pixel centres, without antialiasing.
 * `scale` (output per input) sets the sampling step where it is known, as PyTorch's `scale_factor` does; else the ratio
 * of the sizes.
 */
export function resizeBilinear(x: Tensor, [outHeight, outWidth]: readonly [number, number], scale?: number): Tensor {
  const [n, height, width, channels] = image(x, "resizeBilinear");
  const y = x.graph.empty([n, outHeight, outWidth, channels], x.dtype);
  const stepY = scale ? 1 / scale : height / outHeight;
  const stepX = scale ? 1 / scale : width / outWidth;
  const sourceRows = (row: number) => {
    // The kernel takes the row's place in f32, so it may fall on either side of a whole number: a row to spare.
    const source = Math.floor((row + 0.5) * stepY - 0.5);
    return [Math.max(Math.min(source, height) - 1, 0), Math.min(source + 3, height)] as const;
  };
  for (const { sizes, ...call } of calls(x, y, sourceRows)) {
    x.graph.emit(resizeBilinearKernel, { ...call, params: { ...sizes, outHeight, outWidth, stepY, stepX } });
  }
  return y;
}

/** Mean of each 2 x 2 block of [N, H, W, C], stride 2. */
export function averagePool(x: Tensor): Tensor {
  const [n, height, width, channels] = image(x, "averagePool");
  invariant(height > 1 && width > 1, `averagePool: ${height} x ${width} holds no block of 2 x 2`);
  const y = x.graph.empty([n, Math.floor(height / 2), Math.floor(width / 2), channels], x.dtype);
  for (const { sizes, ...call } of calls(x, y, (row) => [2 * row, 2 * row + 2])) {
    x.graph.emit(averagePoolKernel, { ...call, params: sizes });
  }
  return y;
}
