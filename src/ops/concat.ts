import code from "../../shaders/concat.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, sameShape, showShape } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { bandOf, type Rows, rowBands } from "./bands.js";

export const concatKernel = defineKernel({
  name: "concat",
  code,
  reads: ["a", "b"],
  writes: ["y"],
  params: { count: "u32", channelsA: "u32", channelsB: "u32" },
  consts: ["T"],
});

/** Joins two tensors along their last axis, `a` first. */
export function concat(a: Tensor, b: Tensor): Tensor {
  const fits = sameShape(a.shape.slice(0, -1), b.shape.slice(0, -1)) && a.dtype === b.dtype;
  invariant(fits, `concat: ${showShape(a.shape)} and ${showShape(b.shape)} differ before the last axis, or in type`);
  const channelsA = a.shape.at(-1)!;
  const channelsB = b.shape.at(-1)!;
  const y = a.graph.empty([...a.shape.slice(0, -1), channelsA + channelsB], a.dtype);
  const parts = [a, b, y].map((tensor) => ({ tensor, width: tensor.shape.at(-1)! }));
  const [left, right, joined] = parts as [Rows, Rows, Rows];
  for (const band of rowBands(a.graph, parts)) {
    const count = band.count * joined.width;
    a.graph.emit(concatKernel, {
      reads: { a: bandOf(left, band), b: bandOf(right, band) },
      writes: { y: bandOf(joined, band) },
      params: { count, channelsA, channelsB },
      consts: { T: a.dtype },
      grid: linearGrid(ceilDiv(count, 256)),
    });
  }
  return y;
}
