import type { DType } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { type Activation, activation, activations } from "./activation.js";
import { bandOf, rowBands } from "./bands.js";
import { directParams, emitDirect } from "./conv2dDirect.js";
import { emitMatrixProduct } from "./conv2dMatrix.js";
import { linearConsts, linearInterface } from "./linearInterface.js";
import type { linearReferenceKernel } from "./linearReference.js";
import { linearRowsColumns, linearRowsKernel, linearRowsMost } from "./linearRows.js";
import { type MatrixBlock, takesProducts } from "./matrixBlock.js";
import { emitSplit } from "./sumSplits.js";
import { chooseTile, type Tiling, takesGates, tileConsts } from "./tile.js";

export const linearKernel = defineKernel({
  name: "linear",
  code: () => import("../../shaders/linear.wgsl"),
  ...linearInterface,
  params: { ...linearInterface.params, share: "u32" },
  consts: [...linearConsts, "TILE_M", "TILE_N", "QM", "QN", "VECTOR", "WIDE"],
});

/** How a linear map works; only `out` is needed. */
export interface LinearOptions {
  /** Output features. */
  readonly out: number;
  /** Adds the vector `bias` beside the weight; true by default. */
  readonly bias?: boolean;
  /** Activation of the input. */
  readonly actIn?: Activation;
  /** Activation of the result, before the residual; of a gated map, of the gates. */
  readonly act?: Activation;
  /**
   * The weight is [2 out, in], and the result `value * act(gate)`: its first half gives the values, the second their gates
   * ("GEGLU" where `act` is `gelu`). Nothing can be added to that.
   */
  readonly gated?: boolean;
  /** Added to every row of an image, the first axis of x: [N, out]. */
  readonly channelBias?: Tensor;
  /** Added to the result: a tensor of the output's shape. */
  readonly residual?: Tensor;
  /** Element type of the result; the input's by default. */
  readonly dtype?: DType;
  /** The weight is stored as a 1 x 1 convolution, [out, in, 1, 1]. */
  readonly pointwise?: boolean;
  /** The device and the shape decide by default. */
  readonly variant?: "tiled" | "rows" | "direct" | "matrix" | typeof linearReferenceKernel;
  /** How the tiled form spreads the work: for tests and tuning. @internal */
  readonly tiling?: Tiling;
  /** How the matrix form spreads the work: for tests and tuning. @internal */
  readonly block?: MatrixBlock;
}

/** Linear map of the last axis with the weight [out, in] and bias at `w`. Works on [N, T, C] and [N, H, W, C] alike. */
export function linear(input: Tensor, w: Scope, given: LinearOptions): Tensor {
  const options = input.graph.forms?.choose("linear", [input], given) ?? given;
  const { out, bias = true, actIn = "none", act = "none", dtype = input.dtype } = options;
  const { channelBias, residual, pointwise = false, gated = false } = options;
  const inner = input.shape.at(-1)!;
  const rows = sizeOf(input.shape) / inner;
  const { graph } = input;
  invariant(!gated || (!residual && !channelBias), `linear ${w.path}: gated, expected no residual and no channel bias`);
  const across = gated ? 2 * out : out;
  const onMatrix = takesProducts(graph.matrix, inner, out, input.dtype, gated);
  const isFew = rows <= linearRowsMost && inner % 4 === 0 && !residual && !channelBias;
  const usual = isFew ? "rows" : onMatrix ? "matrix" : "tiled";
  const variant = options.variant ?? (graph.software && inner % 4 === 0 ? "direct" : usual);
  invariant(
    variant !== "direct" || inner % 4 === 0,
    `linear ${w.path}: direct form of ${inner} features, expected a multiple of 4`,
  );
  // Activations that are passes of their own, as in conv2d.
  const apart = (variant === "direct" || variant === "matrix") && actIn !== "none";
  const x = apart ? activation(input, actIn) : input;
  const follows = variant === "direct" && act !== "none" && !residual && !gated;
  const y = x.graph.empty([...x.shape.slice(0, -1), out], dtype);
  const weight = pointwise ? w.conv("weight", [across, inner, 1, 1]) : w.matrix("weight", [across, inner]);
  if (residual) {
    const fits = sizeOf(residual.shape) === sizeOf(y.shape) && residual.dtype === x.dtype;
    invariant(fits, `linear ${w.path}: residual is ${showShape(residual.shape)}, expected ${showShape(y.shape)}`);
  }
  if (channelBias) {
    const fits = sizeOf(channelBias.shape) === x.shape[0]! * out && channelBias.dtype === x.dtype;
    invariant(
      fits,
      `linear ${w.path}: channel bias is ${showShape(channelBias.shape)}, expected [${x.shape[0]}, ${out}]`,
    );
  }
  const biasVector = bias ? w.vector("bias", across) : undefined;
  const imageRows = rows / x.shape[0]!;
  const shared = {
    T: x.dtype,
    W: weight.dtype,
    O: dtype,
    ACT_IN: activations[actIn],
    ACT: activations[follows ? "none" : act],
    BIAS: bias ? 1 : 0,
    CHANNEL_BIAS: channelBias ? 1 : 0,
    RESIDUAL: residual ? 1 : 0,
    GATED: gated ? 1 : 0,
  };
  const tile = options.tiling ?? chooseTile(rows, across, inner, gated);
  invariant(
    !gated || takesGates(tile),
    `linear ${w.path}: gated, in blocks of ${tile.quads[1]} quads of columns and ${tile.splits} shares, expected 2 and 1`,
  );
  const outRows = { tensor: y, width: out };
  const inRows = { tensor: x, width: inner };
  const residualRows = residual && { tensor: residual, width: out };
  // A channel bias counts rows from the first image on, so there the rows stay together.
  const operands = [inRows, outRows, ...(residualRows ? [residualRows] : [])];
  const bands = channelBias ? [{ first: 0, count: rows }] : rowBands(x.graph, operands, 65535 * tile.m);
  for (const band of bands) {
    const { count } = band;
    const call = {
      reads: {
        x: bandOf(inRows, band),
        weight,
        bias: biasVector,
        channelBias,
        residual: residualRows && bandOf(residualRows, band),
      },
      writes: { y: bandOf(outRows, band) },
      params: { rows: count, outputs: out, inner, imageRows },
    };
    // A linear map is a convolution with a single tap; an image is one line of `imageRows` pixels.
    const source = { height: 1, width: imageRows, gatherHeight: 1, gatherWidth: imageRows };
    const target = { outHeight: 1, outWidth: imageRows };
    const taps = { channels: inner, kernelWidth: 1, stride: 1, padTop: 0, padLeft: 0, firstRow: 0, firstSource: 0 };
    if (variant === "rows") {
      const { T, W, O, ACT_IN, ACT, BIAS, GATED } = shared;
      invariant(
        isFew,
        `linear ${w.path}: the form for few rows takes at most ${linearRowsMost} and adds nothing, got ${rows}`,
      );
      graph.emit(linearRowsKernel, {
        reads: { x, weight, bias: biasVector },
        writes: { y },
        params: { outputs: out, inner },
        consts: { T, W, O, ROWS: rows, ACT_IN, ACT, BIAS, GATED },
        grid: [ceilDiv(across, linearRowsColumns)],
      });
    } else if (variant === "matrix") {
      const { block } = options;
      emitMatrixProduct(graph, {
        ...call,
        params: { rows: count, outputs: out, inner, ...source, ...target, ...taps },
        resize: false,
        act: shared.ACT,
        gated,
        ...(block && { block }),
      });
    } else if (variant === "direct") {
      const epilogue = directParams({ bias, channelBias, residual });
      emitDirect(x.graph, {
        ...call,
        params: { rows: count, outputs: out, inner, ...source, ...target, ...taps, ...epilogue },
        consts: { T: x.dtype, W: weight.dtype, O: dtype, ACT: shared.ACT, GATED: gated ? 1 : 0 },
        grid: [ceilDiv(across, 32), ceilDiv(count, 32)],
      });
    } else if (typeof variant === "object") {
      x.graph.emit(variant, { ...call, consts: shared, grid: linearGrid(ceilDiv(count * out, 64)) });
    } else {
      const spread = { rows: count, outputs: out, splits: tile.splits, firstRow: 0, imageRows };
      emitSplit(x.graph, call, { ...shared, ...tileConsts(tile, inner, out) }, spread, (product, consts) =>
        x.graph.emit(linearKernel, {
          ...product,
          params: { ...product.params, share: tile.share },
          consts,
          grid: [ceilDiv(across, tile.n), ceilDiv(count, tile.m), tile.splits],
        }),
      );
    }
  }
  return follows ? activation(y, act) : y;
}
