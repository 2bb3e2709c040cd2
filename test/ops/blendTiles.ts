import type { Numbers, Result } from "./reference.js";

/**
 * Tiles [1, h, w, C] of one picture, row by row, joined as tiled decoding does: each is mixed with the tile above, then
 * with the one on its left, both as they are after their own mixing; then all but the first `step` rows and columns of
 * each are cut away.
 */
export function blendTiles(rows: readonly (readonly Numbers[])[], side: number, step: number): Result {
  const channels = rows[0]![0]!.shape[3]!;
  const tiles = rows.map((columns) =>
    columns.map(({ shape, values }) => {
      const [, height, width] = shape as [number, number, number];
      const at = (y: number, x: number, c: number) => (y * width + x) * channels + c;
      return { height, width, at, values: Float64Array.from(values) };
    }),
  );
  const height = tiles.reduce((sum, [tile]) => sum + Math.min(tile!.height, step), 0);
  const width = tiles[0]!.reduce((sum, tile) => sum + Math.min(tile.width, step), 0);
  const picture = new Float64Array(height * width * channels);
  for (const [i, columns] of tiles.entries()) {
    for (const [j, tile] of columns.entries()) {
      const above = tiles[i - 1]?.[j];
      const left = columns[j - 1];
      const mix = (a: number, b: number, k: number, extent: number) => a * (1 - k / extent) + b * (k / extent);
      if (above) {
        const extent = Math.min(above.height, tile.height, side - step);
        for (let y = 0; y < extent; y++) {
          for (let x = 0; x < tile.width; x++) {
            for (let c = 0; c < channels; c++) {
              const a = above.values[above.at(above.height - extent + y, x, c)]!;
              const to = tile.at(y, x, c);
              tile.values[to] = mix(a, tile.values[to]!, y, extent);
            }
          }
        }
      }
      if (left) {
        const extent = Math.min(left.width, tile.width, side - step);
        for (let x = 0; x < extent; x++) {
          for (let y = 0; y < tile.height; y++) {
            for (let c = 0; c < channels; c++) {
              const a = left.values[left.at(y, left.width - extent + x, c)]!;
              const to = tile.at(y, x, c);
              tile.values[to] = mix(a, tile.values[to]!, x, extent);
            }
          }
        }
      }
      for (let y = 0; y < Math.min(tile.height, step); y++) {
        for (let x = 0; x < Math.min(tile.width, step); x++) {
          for (let c = 0; c < channels; c++) {
            picture[((i * step + y) * width + j * step + x) * channels + c] = tile.values[tile.at(y, x, c)]!;
          }
        }
      }
    }
  }
  return { shape: [1, height, width, channels], values: picture };
}
