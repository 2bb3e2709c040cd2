import { dtypeBytes } from "../../src/core/dtype.js";
import { sizeOf } from "../../src/core/shape.js";
import type { Call } from "../../src/graph/graph.js";

/** What a recorded call does, told by its family and by names that all forms of a family share. */
export type Family = "conv" | "linear" | "attention" | "other";

export function familyOf({ kernel }: Call): Family {
  if (kernel.name.startsWith("conv2d")) return "conv";
  if (kernel.name.startsWith("linear")) return "linear";
  return kernel.name.startsWith("attention") ? "attention" : "other";
}

/** Floating-point operations of products; what else there is counts by its bytes. */
export function flopsOf(call: Call): number {
  const { params, writes, reads, kernel } = call;
  const family = familyOf(call);
  if (kernel.name === "winogradProduct") return 2 * writes[0]!.length * params["channels"]!;
  if (family === "conv" || family === "linear") {
    const { rows, outputs, inner } = params;
    if (rows !== undefined && outputs !== undefined && inner !== undefined) return 2 * rows * outputs * inner;
    const weight = reads[kernel.reads.indexOf("weight")]?.tensor;
    const out = writes[0]!.tensor.shape.at(-1)!;
    return weight ? 2 * writes[0]!.length * (sizeOf(weight.shape) / out) : 0;
  }
  if (family === "attention") {
    const { keys } = params;
    return keys === undefined ? 0 : 4 * writes[0]!.length * keys; // each output is a sum over keys, and so is each score
  }
  return 0;
}

/** Bytes of all bound ranges, once each. */
export const bytesOf = ({ reads, writes }: Call): number =>
  [...reads, ...writes].reduce((sum, w) => sum + (w ? w.length * dtypeBytes[w.tensor.dtype] : 0), 0);

/** The size of a call in a word, for tables: what is written, and what a product sums over. */
export function sizeText(call: Call): string {
  const { params, writes, kernel } = call;
  const shape = writes[0]!.tensor.shape.join("x");
  const family = familyOf(call);
  if (family === "attention") return `${shape}, ${params["keys"]} keys`;
  if (kernel.name === "winogradProduct") return `${shape} of ${params["channels"]}`;
  if (family === "other") return shape;
  const { inner, kernelWidth, stride } = params;
  const taps = kernelWidth !== undefined && kernelWidth > 1 ? ` ${kernelWidth}x${kernelWidth}` : "";
  return `${shape} of ${inner}${taps}${stride !== undefined && stride > 1 ? `, stride ${stride}` : ""}`;
}

/** Calls with one key are alike in everything but the tensors that they touch. */
export const keyOf = ({ kernel, consts, params, reads, writes, grid }: Call): string =>
  JSON.stringify([
    kernel.name,
    consts,
    params,
    grid,
    [...reads, ...writes].map((w) => w && [w.tensor.dtype, w.length, w.tensor.shape]),
  ]);
