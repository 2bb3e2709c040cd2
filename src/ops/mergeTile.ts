import code from "../../shaders/mergeTile.wgsl";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, type Shape, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const mergeTileKernel = defineKernel({
  name: "mergeTile",
  code,
  reads: ["tile", "place"],
  writes: ["below", "right", "picture"],
  params: {
    pixels: "u32",
    channels: "u32",
    tileHeight: "u32",
    tileWidth: "u32",
    side: "u32",
    step: "u32",
    height: "u32",
    width: "u32",
    columns: "u32",
  },
  consts: ["PACK"],
});

/** What tiles are merged into, in pixels of the picture. */
export interface MergeTarget {
  /** [N, H, W, C] in f32, or RGBA8 of three channels in [-1, 1] as u32 [N, H, W]. */
  readonly picture: Tensor;
  /** Mixed edges of the tiles above, of {@link stripShapes}. */
  readonly below: Tensor;
  /** Mixed edges of the tile on the left. */
  readonly right: Tensor;
}

export interface MergeGrid {
  /** Side of a tile that the picture's edge does not cut off. */
  readonly side: number;
  /** Pixels from one tile to the next. */
  readonly step: number;
  /** Tiles in a row. */
  readonly columns: number;
}

/** Shapes of the buffers that keep edges between tiles. */
export function stripShapes({ side, step, columns }: MergeGrid, channels: number): Record<"below" | "right", Shape> {
  const overlap = Math.max(1, side - step); // a buffer is never empty
  return { below: [2, columns, overlap, side, channels], right: [2, side, overlap, channels] };
}

/**
 * Puts a tile [1, h, w, C] (f32) into a picture at the `place` (image, row, column in the grid of tiles, u32) that is
 * known when the program runs, mixed linearly with its neighbours above and on the left where they overlap. Tiles must
 * come in order, row by row.
 */
export function mergeTile(tile: Tensor, place: Tensor, target: MergeTarget, grid: MergeGrid): void {
  const { picture, below, right } = target;
  const { side, step, columns } = grid;
  const [, tileHeight, tileWidth, channels] = tile.shape as [number, number, number, number];
  const [images, height, width] = picture.shape as [number, number, number];
  const packed = picture.dtype === "u32";
  const size = images * height * width * (packed ? 1 : channels);
  const strips = stripShapes(grid, channels);
  invariant(
    tile.shape.length === 4 && tile.shape[0] === 1 && tile.dtype === "f32" && tileHeight <= side && tileWidth <= side,
    `mergeTile: tile is ${showShape(tile.shape)} ${tile.dtype}, expected [1, h, w, C] f32 of at most ${side} x ${side}`,
  );
  invariant(step > 0 && 2 * step >= side, `mergeTile: tiles of ${side} every ${step} pixels, expected two to overlap`);
  invariant(
    sizeOf(picture.shape) === size && (!packed || channels === 3),
    `mergeTile: picture is ${showShape(picture.shape)} ${picture.dtype}, tiles have ${channels} channels`,
  );
  for (const [name, tensor] of Object.entries({ below, right })) {
    const expected = strips[name as keyof typeof strips];
    invariant(
      sizeOf(tensor.shape) === sizeOf(expected),
      `mergeTile: ${name} is ${showShape(tensor.shape)}, expected ${showShape(expected)}`,
    );
  }
  const pixels = tileHeight * tileWidth;
  tile.graph.emit(mergeTileKernel, {
    reads: { tile, place },
    writes: { below, right, picture },
    params: { pixels, channels, tileHeight, tileWidth, side, step, height, width, columns },
    consts: { PACK: packed ? 1 : 0 },
    grid: linearGrid(ceilDiv(pixels, 64)),
  });
}
