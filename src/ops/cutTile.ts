import code from "../../shaders/cutTile.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const cutTileKernel = defineKernel({
  name: "cutTile",
  code,
  reads: ["x", "place"],
  writes: ["y"],
  params: {
    count: "u32",
    channels: "u32",
    height: "u32",
    width: "u32",
    tileWidth: "u32",
    step: "u32",
    scale: "f32",
    shift: "f32",
  },
  consts: [],
});

export interface CutTileOptions {
  /** Height and width of the tile. */
  readonly size: readonly [number, number];
  /** Pixels from one tile to the next. */
  readonly step: number;
  readonly scale?: number;
  readonly shift?: number;
}

/**
 * One tile of x [N, H, W, C] (f32) times scale plus shift: [1, h, w, C]. Which tile, `place` says when the program runs:
 * image, row and column in the grid of tiles (u32); the tile must lie inside of x.
 */
export function cutTile(x: Tensor, place: Tensor, { size, step, scale = 1, shift = 0 }: CutTileOptions): Tensor {
  const fits = x.shape.length === 4 && x.dtype === "f32" && size[0] <= x.shape[1]! && size[1] <= x.shape[2]!;
  invariant(
    fits,
    `cutTile: x is ${showShape(x.shape)} ${x.dtype}, expected [N, H, W, C] f32 that holds ${showShape(size)}`,
  );
  const [, height, width, channels] = x.shape as [number, number, number, number];
  const y = x.graph.empty([1, ...size, channels], "f32");
  const count = sizeOf(y.shape);
  x.graph.emit(cutTileKernel, {
    reads: { x, place },
    writes: { y },
    params: { count, channels, height, width, tileWidth: size[1], step, scale, shift },
    consts: {},
    grid: linearGrid(ceilDiv(count, 256)),
  });
  return y;
}
