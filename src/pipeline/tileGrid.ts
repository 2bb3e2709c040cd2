import { invariant } from "../core/invariant.js";
import { ceilDiv } from "../core/shape.js";
import type { Bands } from "../models/decoderBands.js";

/** Pictures, or latents, that a first stage works on at once. */
export interface StageSize {
  readonly images: number;
  readonly height: number;
  readonly width: number;
}

/**
 * How a latent is covered with square tiles, row by row. Neighbours overlap by a quarter of a tile; tiles at the right
 * and bottom edge are cut off. Lengths in latent pixels. The last row or column can lie inside of the overlap with the
 * one before it: that is how the reference does it, whose numbers this gives.
 */
export interface TileGrid {
  readonly height: number;
  readonly width: number;
  readonly side: number;
  /** From one tile to the next. */
  readonly step: number;
  readonly rows: number;
  readonly columns: number;
}

/** A grid over a latent; a single tile where that covers it. The side must be a multiple of 4. */
export function tileGrid(height: number, width: number, side: number): TileGrid {
  invariant(
    Number.isInteger(side) && side > 0 && side % 4 === 0,
    `tile: expected a side in latent pixels that is a multiple of 4, got ${side}`,
  );
  if (side >= height && side >= width) {
    const most = Math.max(height, width);
    return { height, width, side: most, step: most, rows: 1, columns: 1 };
  }
  const step = (side / 4) * 3;
  return { height, width, side, step, rows: ceilDiv(height, step), columns: ceilDiv(width, step) };
}

/** Height and width of one tile of a grid. */
export const tileSize = ({ height, width, side, step }: TileGrid, row: number, column: number): [number, number] => [
  Math.min(side, height - row * step),
  Math.min(side, width - column * step),
];

/** The distinct sizes of a grid's tiles. */
export function tileSizes(grid: TileGrid): [number, number][] {
  const lengths = (total: number, count: number) => [
    ...new Set(Array.from({ length: count }, (_, i) => Math.min(grid.side, total - i * grid.step))),
  ];
  const widths = lengths(grid.width, grid.columns);
  return lengths(grid.height, grid.rows).flatMap((h) => widths.map((w): [number, number] => [h, w]));
}

/** How a half of a first stage works where it does not work in one piece. */
export interface Division {
  /** A decoder's last levels work in bands of rows, which gives the same picture; of a batch with tiles as large as one. */
  readonly bands?: Bands;
  /**
   * Side of a tile in latent pixels, a multiple of 4. With tiles, the pictures of a batch are worked on one after the
   * other.
   */
  readonly tile?: number;
}

export interface HalfSize extends StageSize, Division {}

/** The grid for tiles of a side; none where no side is given, or where a single picture is a single tile. */
export function gridOf({ images, height, width }: StageSize, tile: number | undefined): TileGrid | undefined {
  if (tile === undefined) return undefined;
  const grid = tileGrid(height, width, tile);
  return images === 1 && grid.rows * grid.columns === 1 ? undefined : grid;
}
