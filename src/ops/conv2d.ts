import { type DType, dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor, type Window } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { type Activation, activation, activations } from "./activation.js";
import { rowAlignment, splitRows } from "./bands.js";
import { directParams, emitDirect } from "./conv2dDirect.js";
import { conv2dConsts, conv2dInterface } from "./conv2dInterface.js";
import { emitMatrixProduct } from "./conv2dMatrix.js";
import { conv2dReferenceKernel } from "./conv2dReference.js";
import { type MatrixBlock, takesProducts } from "./matrixBlock.js";
import { emitSplit } from "./sumSplits.js";
import { chooseTile, type Tiling, tileConsts } from "./tile.js";

export const conv2dKernel = defineKernel({
  name: "conv2d",
  code: () => import("../../shaders/conv2d.wgsl"),
  ...conv2dInterface,
  params: { ...conv2dInterface.params, share: "u32" },
  consts: [...conv2dConsts, "TILE_M", "TILE_N", "QM", "QN", "VECTOR", "WIDE"],
});

/** How a convolution works; only `out` is needed. */
export interface Conv2dOptions {
  /** Output channels. */
  readonly out: number;
  /** Side of the square kernel; 3 by default. */
  readonly kernel?: number;
  /** Step between outputs, along both sides; 1 by default. */
  readonly stride?: number;
  /** Zeros around the input as [left, right, top, bottom]; half the kernel on each side by default. */
  readonly pad?: readonly [number, number, number, number];
  /** Adds the vector `bias` beside the weight; true by default. */
  readonly bias?: boolean;
  /** Activation of the input, applied while it is gathered. */
  readonly actIn?: Activation;
  /** Activation of the result, before the residual. */
  readonly act?: Activation;
  /** Added to every pixel of an image: [N, out], such as the time embedding. */
  readonly channelBias?: Tensor;
  /** Added to the result: a tensor of the output's shape. */
  readonly residual?: Tensor;
  /** Reads the input as if resized (nearest neighbour) to this [height, width]. */
  readonly resize?: readonly [number, number];
  /** Element type of the result; the input's by default. */
  readonly dtype?: DType;
  /** The device and the shape decide by default. */
  readonly variant?: "tiled" | "winograd" | "direct" | "matrix" | typeof conv2dReferenceKernel;
  /** How the tiled form spreads the work: for tests and tuning. @internal */
  readonly tiling?: Tiling;
  /** How the matrix form spreads the work: for tests and tuning. @internal */
  readonly block?: MatrixBlock;
}

/**
 * Convolution of [N, H, W, C] with the weight and bias at `w`. Tensors beyond the adapter's binding limit are worked on
 * in bands of rows.
 */
export function conv2d(input: Tensor, w: Scope, given: Conv2dOptions): Tensor {
  const options = input.graph.forms?.choose("conv2d", [input], given) ?? given;
  const { out, kernel = 3, stride = 1, bias = true, actIn = "none", act = "none", dtype = input.dtype } = options;
  const { channelBias, residual, resize } = options;
  invariant(input.shape.length === 4, `conv2d ${w.path}: input is ${showShape(input.shape)}, expected [N, H, W, C]`);
  const [n, height, width, channels] = input.shape as [number, number, number, number];
  const { graph } = input;
  const onMatrix = takesProducts(graph.matrix, channels, out, input.dtype);
  // Where the direct form does not fit, a compiler for CPUs takes longer over the tiles than the plain form takes to run.
  const onCpu = channels % 4 === 0 ? "direct" : conv2dReferenceKernel;
  const half = Math.floor(kernel / 2);
  const [left, right, top, bottom] = options.pad ?? [half, half, half, half];
  const [gatherHeight, gatherWidth] = resize ?? [height, width];
  const outHeight = Math.floor((gatherHeight + top + bottom - kernel) / stride) + 1;
  const outWidth = Math.floor((gatherWidth + left + right - kernel) / stride) + 1;
  invariant(
    outHeight > 0 && outWidth > 0,
    `conv2d ${w.path}: input of ${gatherHeight} x ${gatherWidth} is smaller than the kernel of ${kernel}`,
  );
  const shape = { images: n, outHeight, outWidth, channels, outputs: out };
  const threes = kernel === 3 && stride === 1;
  const onGpu = onMatrix ? "matrix" : threes && graph.winograd?.prefers(input, shape) ? "winograd" : "tiled";
  const variant = options.variant ?? (graph.software ? onCpu : onGpu);
  invariant(
    variant !== "direct" || channels % 4 === 0,
    `conv2d ${w.path}: direct form of ${channels} channels, expected a multiple of 4`,
  );
  const winograd = variant === "winograd" && threes && graph.winograd?.takes(input, shape) && graph.winograd;
  invariant(
    variant !== "winograd" || winograd,
    `conv2d ${w.path}: Winograd's form is for 3 x 3 taps, stride 1, channels by eights and outputs by fours`,
  );
  // These forms have no activation of the input: a pass of its own costs less than one in every gather.
  const apart = (variant === "direct" || variant === "matrix") && actIn !== "none";
  const x = apart ? activation(input, actIn) : input;
  // Nor has the direct form one of the result, where it can follow: another pipeline takes longer to compile than a pass to run.
  const follows = variant === "direct" && act !== "none" && !residual;
  const y = graph.empty([n, outHeight, outWidth, out], dtype);
  const weight = w.conv("weight", [out, channels, kernel, kernel]);
  if (channelBias) {
    const fits = sizeOf(channelBias.shape) === n * out && channelBias.dtype === x.dtype;
    invariant(fits, `conv2d ${w.path}: channel bias is ${showShape(channelBias.shape)}, expected [${n}, ${out}]`);
  }
  if (residual) {
    const fits = sizeOf(residual.shape) === sizeOf(y.shape) && residual.dtype === x.dtype;
    invariant(fits, `conv2d ${w.path}: residual is ${showShape(residual.shape)}, expected ${showShape(y.shape)}`);
  }
  const biasVector = bias ? w.vector("bias", out) : undefined;
  const shared = {
    T: x.dtype,
    W: weight.dtype,
    O: dtype,
    RESIZE: resize && (gatherHeight !== height || gatherWidth !== width) ? 1 : 0,
    ACT_IN: activations[actIn],
    ACT: activations[follows ? "none" : act],
    BIAS: bias ? 1 : 0,
    CHANNEL_BIAS: channelBias ? 1 : 0,
    RESIDUAL: residual ? 1 : 0,
  };
  if (winograd) {
    const gather = { height, width, gatherHeight, gatherWidth, padTop: top, padLeft: left };
    const reads = { x, weight, bias: biasVector, channelBias, residual };
    winograd.emit({ reads, y, shape, gather, consts: shared });
    return y;
  }
  const tile = options.tiling ?? chooseTile(n * outHeight * outWidth, out, kernel * kernel * channels);

  const sourceLine = width * channels; // elements
  const outLine = outWidth * out;
  const sourceStep = rowAlignment(sourceLine * dtypeBytes[x.dtype]);
  // Source rows that an output row of one image touches, as a half-open range.
  const sourceRows = (oy: number): [number, number] => {
    const scale = (iy: number) => Math.floor((Math.min(Math.max(iy, 0), gatherHeight - 1) * height) / gatherHeight);
    return [scale(oy * stride - top), scale(oy * stride - top + kernel - 1) + 1];
  };
  const windowFor = (first: number, count: number): Window => {
    const last = first + count - 1;
    const begin = Math.floor(first / outHeight) * height + sourceRows(first % outHeight)[0];
    const end = Math.floor(last / outHeight) * height + sourceRows(last % outHeight)[1];
    const start = Math.floor(begin / sourceStep) * sourceStep;
    return { tensor: x, offset: start * sourceLine, length: (end - start) * sourceLine };
  };
  // As many rows a band as keep the output (and residual), the gathered rows and the grid within their limits.
  const ySize = Math.max(dtypeBytes[dtype], residual ? dtypeBytes[x.dtype] : 0);
  const spread = Math.max(1, (stride * height) / gatherHeight);
  const sourceBytes = sourceLine * dtypeBytes[x.dtype];
  const byOutput = Math.floor(graph.maxBinding / (outLine * ySize));
  const bySource = Math.floor((graph.maxBinding / sourceBytes - kernel - 2 * sourceStep) / spread);
  const byGrid = Math.floor((65535 * (variant === "direct" ? 32 : tile.m)) / outWidth);
  const wholeSource = sizeOf(x.shape) * dtypeBytes[x.dtype] <= graph.maxBinding;
  const most = Math.min(byOutput, wholeSource ? Number.POSITIVE_INFINITY : bySource, byGrid);
  const alignBytes = outLine * Math.min(dtypeBytes[dtype], residual ? dtypeBytes[x.dtype] : 4);
  for (const { first, count } of splitRows(n * outHeight, alignBytes, most)) {
    const source = wholeSource ? { tensor: x, offset: 0, length: sizeOf(x.shape) } : windowFor(first, count);
    const range = { offset: first * outLine, length: count * outLine };
    const rows = count * outWidth;
    const call = {
      reads: {
        x: source,
        weight,
        bias: biasVector,
        channelBias,
        residual: residual && { tensor: residual, ...range },
      },
      writes: { y: { tensor: y, ...range } },
      params: {
        rows,
        outputs: out,
        inner: kernel * kernel * channels,
        channels,
        kernelWidth: kernel,
        height,
        width,
        gatherHeight,
        gatherWidth,
        outHeight,
        outWidth,
        stride,
        padTop: top,
        padLeft: left,
        firstRow: first,
        firstSource: source.offset / sourceLine,
      },
    };
    if (variant === "matrix") {
      const { block } = options;
      emitMatrixProduct(graph, {
        ...call,
        resize: shared.RESIZE === 1,
        act: shared.ACT,
        ...(block && { block }),
      });
    } else if (variant === "direct") {
      emitDirect(graph, {
        ...call,
        params: { ...call.params, ...directParams({ bias, channelBias, residual }) },
        consts: { T: x.dtype, W: weight.dtype, O: dtype, ACT: shared.ACT, GATED: 0 },
        grid: [ceilDiv(out, 32), ceilDiv(rows, 32)],
      });
    } else if (typeof variant === "object") {
      graph.emit(variant, { ...call, consts: shared, grid: linearGrid(ceilDiv(rows * out, 64)) });
    } else {
      const spread = {
        rows,
        outputs: out,
        splits: tile.splits,
        firstRow: first * outWidth,
        imageRows: outHeight * outWidth,
      };
      emitSplit(graph, call, { ...shared, ...tileConsts(tile, channels, out) }, spread, (product, consts) =>
        graph.emit(conv2dKernel, {
          ...product,
          params: { ...product.params, share: tile.share },
          consts,
          grid: [ceilDiv(out, tile.n), ceilDiv(rows, tile.m), tile.splits],
        }),
      );
    }
  }
  return follows ? activation(y, act) : y;
}
