import code from "../../shaders/geglu.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { bandOf, rowBands } from "./bands.js";

export const gegluKernel = defineKernel({
  name: "geglu",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { count: "u32", channels: "u32" },
  consts: ["T"],
});

/** [.., 2C] to [.., C]: the first half times the exact GELU of the second. */
export function geglu(x: Tensor): Tensor {
  const width = x.shape.at(-1)!;
  invariant(width % 2 === 0, `geglu: the last axis of ${showShape(x.shape)} does not split in two`);
  const channels = width / 2;
  const y = x.graph.empty([...x.shape.slice(0, -1), channels], x.dtype);
  const input = { tensor: x, width };
  const output = { tensor: y, width: channels };
  for (const band of rowBands(x.graph, [input, output])) {
    const count = band.count * channels;
    x.graph.emit(gegluKernel, {
      reads: { x: bandOf(input, band) },
      writes: { y: bandOf(output, band) },
      params: { count, channels },
      consts: { T: x.dtype },
      grid: linearGrid(ceilDiv(count, 256)),
    });
  }
  return y;
}
