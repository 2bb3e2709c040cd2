// kernels: cutTile, mergeTile
import { describe, expect, it } from "vitest";
import { ceilDiv, sizeOf } from "../../src/core/shape.js";
import { cutTile } from "../../src/ops/cutTile.js";
import { mergeTile, stripShapes } from "../../src/ops/mergeTile.js";
import { toRgba } from "../../src/ops/toRgba.js";
import { Bench, constant, expectClose, forCases, random, runGraph } from "../harness/gpu.js";
import { blendTiles } from "./blendTiles.js";

const cuts = [
  { shape: [2, 9, 7, 4], place: [1, 1, 2], step: 3, size: [4, 1] as const },
  { shape: [1, 5, 5, 1], place: [0, 0, 0], step: 6, size: [5, 5] as const, scale: 2, shift: -0.5 },
  { shape: [3, 40, 33, 3], place: [2, 1, 1], step: 24, size: [16, 9] as const, scale: 0.25 },
];

forCases(
  "cutTile",
  cuts,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { shape, place, step, size, scale = 1, shift = 0 } = item;
    const x = random("x", shape);
    const [y] = await runGraph(device, dtype, (bench) =>
      cutTile(bench.input(x, "f32"), bench.integers([4], [...place, 0]), { size, step, scale, shift }),
    );
    const [, height, width, channels] = shape as [number, number, number, number];
    const [image, row, column] = place as [number, number, number];
    const expected = Array.from({ length: size[0] * size[1] * channels }, (_, i) => {
      const pixel = Math.floor(i / channels);
      const line = image * height + row * step + Math.floor(pixel / size[1]);
      const at = line * width + column * step + (pixel % size[1]);
      return x.values[at * channels + (i % channels)]! * scale + shift;
    });
    expectClose(y!, expected, 1e-12);
  },
);

const merges = [
  { name: "one tile", images: 1, height: 5, width: 7, side: 7, step: 7, channels: 3 },
  { name: "even tiles", images: 1, height: 20, width: 20, side: 8, step: 6, channels: 3 },
  {
    name: "a last row and column inside of the overlap",
    images: 2,
    height: 19,
    width: 13,
    side: 8,
    step: 6,
    channels: 5,
  },
  { name: "cut off tiles with a neighbour beyond", images: 1, height: 23, width: 31, side: 16, step: 12, channels: 1 },
  { name: "one row", images: 1, height: 4, width: 30, side: 8, step: 6, channels: 3 },
];

forCases(
  "mergeTile",
  merges,
  ({ name }) => name,
  async ({ device, dtype, item }) => {
    const { images, height, width, side, step, channels } = item;
    const grid = { side, step, columns: ceilDiv(width, step) };
    const tiles = Array.from({ length: images }, (_, image) =>
      Array.from({ length: ceilDiv(height, step) }, (_, row) =>
        Array.from({ length: grid.columns }, (_, column) => {
          const shape = [1, Math.min(side, height - row * step), Math.min(side, width - column * step), channels];
          return random(`tile ${image} ${row} ${column}`, shape, { scale: 0.7 });
        }),
      ),
    );
    const build = (packed: boolean) => (bench: Bench) => {
      const strips = stripShapes(grid, channels);
      const below = bench.state(constant(strips.below, Number.NaN));
      const right = bench.state(constant(strips.right, Number.NaN));
      const { graph } = bench;
      const picture = packed
        ? graph.state("rgba", [images, height, width], "u32")
        : graph.state("picture", [images, height, width, channels]);
      for (const [image, rows] of tiles.entries()) {
        for (const [row, columns] of rows.entries()) {
          for (const [column, tile] of columns.entries()) {
            const place = bench.integers([4], [image, row, column, 0]);
            mergeTile(bench.input(tile, "f32"), place, { picture, below, right }, grid);
          }
        }
      }
      return packed ? picture : channels === 3 ? [picture, toRgba(picture)] : picture;
    };
    const [picture, rgba] = await runGraph(device, dtype, build(false));
    const expected = tiles.flatMap((rows) => [...blendTiles(rows, side, step).values]);
    expect(expected.length).toBe(sizeOf([images, height, width, channels]));
    expectClose(picture!, expected, 1e-12);
    if (!rgba) return;
    const [packed] = await runGraph(device, dtype, build(true));
    expect([...packed!]).toEqual([...rgba]);
  },
);

describe("tile operators", () => {
  it("refuse what does not fit", () => {
    const { graph } = new Bench("f32");
    const input = (...shape: number[]) => graph.input("x", shape, "f32", "step");
    const place = graph.input("place", [4], "u32", "step");
    expect(() => cutTile(input(1, 4, 4, 3), place, { size: [5, 4], step: 3 })).toThrow(/that holds \[5, 4\]/);
    const grid = { side: 8, step: 6, columns: 2 };
    const [below, right] = [graph.state("below", [2, 2, 2, 8, 3]), graph.state("right", [2, 8, 2, 3])];
    const picture = graph.state("picture", [1, 9, 9, 3]);
    const target = { picture, below, right };
    expect(() => mergeTile(input(1, 9, 8, 3), place, target, grid)).toThrow(/at most 8 x 8/);
    expect(() => mergeTile(input(1, 8, 8, 3), place, target, { ...grid, step: 3 })).toThrow(/tiles of 8 every 3/);
    expect(() => mergeTile(input(1, 8, 8, 4), place, target, grid)).toThrow(/tiles have 4 channels/);
    expect(() => mergeTile(input(1, 8, 8, 3), place, target, { ...grid, columns: 3 })).toThrow(
      /below is \[2, 2, 2, 8, 3\], expected \[2, 3, 2, 8, 3\]/,
    );
  });
});
