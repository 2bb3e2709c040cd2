// Grids of tiles, and how a budget divides the halves of a first stage; all of it without a device.
import { describe, expect, it } from "vitest";
import { downsampling } from "../../src/models/autoencoder.js";
import { parseFirstStageConfig } from "../../src/models/firstStage.js";
import { stageGraphs } from "../../src/pipeline/division.js";
import { type Division, divisionFor, stageBytes } from "../../src/pipeline/firstStage.js";
import { gridOf, tileGrid, tileSize, tileSizes } from "../../src/pipeline/tileGrid.js";
import { firstStageZoo } from "../models/firstStageZoo.js";
import { smallStages } from "./smallStages.js";

const MiB = 2 ** 20;

describe("a grid of tiles", () => {
  it.each([
    // height, width, side; heights of the rows, widths of the columns
    [64, 64, 64, [64], [64]],
    [30, 64, 64, [30], [64]],
    [64, 100, 64, [64, 16], [64, 52, 4]],
    [65, 17, 16, [16, 16, 16, 16, 16, 5], [16, 5]],
    [8, 49, 16, [8], [16, 16, 16, 13, 1]],
    [5, 5, 4, [4, 2], [4, 2]],
  ] as const)("over %i x %i with tiles of %i", (height, width, side, heights, widths) => {
    const grid = tileGrid(height, width, side);
    expect(Array.from({ length: grid.rows }, (_, i) => tileSize(grid, i, 0)[0])).toEqual(heights);
    expect(Array.from({ length: grid.columns }, (_, j) => tileSize(grid, 0, j)[1])).toEqual(widths);
    // Without its edge cut off, each tile begins three quarters of a tile after the last; the last reaches the end.
    expect((grid.rows - 1) * grid.step + heights.at(-1)!).toBe(height);
    const sizes = tileSizes(grid).map((size) => size.join());
    expect(new Set(sizes).size).toBe(sizes.length);
    expect(new Set(sizes)).toEqual(new Set(heights.flatMap((h) => widths.map((w) => `${h},${w}`))));
    expect(sizes[0]).toBe(tileSize(grid, 0, 0).join());
  });

  it("is none where one picture is one tile", () => {
    expect(gridOf({ images: 1, height: 8, width: 6 }, 8)).toBeUndefined();
    expect(gridOf({ images: 1, height: 8, width: 6 }, undefined)).toBeUndefined();
    expect(gridOf({ images: 2, height: 8, width: 6 }, 8)).toMatchObject({ rows: 1, columns: 1, step: 8, side: 8 });
    expect(gridOf({ images: 1, height: 9, width: 6 }, 8)).toMatchObject({ rows: 2, columns: 1 });
  });

  it.each([0, 6, -4, 2.5])("refuses tiles of %d", (side) => {
    expect(() => tileGrid(16, 16, side)).toThrow(`multiple of 4, got ${side}`);
  });
});

describe("the division for a budget", () => {
  const config = parseFirstStageConfig(firstStageZoo["Stable Diffusion"]!.config);
  const settings = { dtype: "f16" as const };
  const latent = { images: 1, height: 256, width: 256 };
  const picture = { images: 1, height: 2048, width: 2048 };

  it.each([
    ["decoder", 512, latent],
    ["decoder", 1024, latent],
    ["encoder", 512, picture],
    ["encoder", 2048, picture],
  ] as const)("of the %s in %i MiB is the largest tile that fits, where bands do not", (half, mebibytes, size) => {
    const budget = mebibytes * MiB;
    const { tile = 0 } = divisionFor(half, config, size, { settings, budget });
    expect(tile % 8).toBe(0);
    expect(tile).toBeGreaterThan(0);
    expect(stageBytes(half, config, size, settings, { tile }).total).toBeLessThanOrEqual(budget);
    expect(stageBytes(half, config, size, settings, { tile: tile + 8 }).total).toBeGreaterThan(budget);
  });

  it.each([
    [64, 250],
    [64, 120],
    [128, 900],
    [128, 400],
  ])("of a decoder of %i latent pixels in %i MiB is the least in bands that fits", (side, mebibytes) => {
    const size = { images: 1, height: side, width: side };
    const budget = mebibytes * MiB;
    const { bands } = divisionFor("decoder", config, size, { settings, budget });
    expect(stageBytes("decoder", config, size, settings).total).toBeGreaterThan(budget);
    expect(stageBytes("decoder", config, size, settings, { bands: bands! }).total).toBeLessThanOrEqual(budget);
    const { levels, rows } = bands!;
    const easier = { bands: rows < 128 ? { levels, rows: 2 * rows } : { levels: levels - 1, rows: 16 } };
    if (easier.bands.levels > 0) {
      expect(stageBytes("decoder", config, size, settings, easier).total).toBeGreaterThan(budget);
    }
  });

  it("multiplies more, the more levels work in bands", () => {
    const size = { images: 1, height: 64, width: 64 };
    const products = (division: Division) =>
      stageGraphs("decoder", config, size, settings, division)
        .flatMap(({ calls }) => calls)
        .filter(({ kernel }) => /^(conv2d|linear)/.test(kernel.name))
        .reduce((sum, { params: { rows, outputs, inner } }) => sum + rows! * outputs! * inner!, 0);
    const whole = products({});
    const ratios = [1, 2, 3].map((levels) => products({ bands: { levels, rows: 64 } }) / whole);
    expect(ratios.map((ratio) => ratio.toFixed(1))).toEqual(["1.4", "1.8", "2.0"]); // as the guide says
  });

  it("takes a picture of Stable Diffusion's in half the memory", () => {
    const size = { images: 1, height: 64, width: 64 };
    const whole = stageBytes("decoder", config, size, settings).total;
    const bands = { levels: 3, rows: 64 };
    expect(stageBytes("decoder", config, size, settings, { bands }).total).toBeLessThan(whole / 2);
  });

  it("is none where all fits at once", () => {
    for (const [half, side] of [
      ["decoder", 64],
      ["encoder", 512],
    ] as const) {
      const size = { images: 1, height: side, width: side };
      const { total } = stageBytes(half, config, size, settings);
      expect(divisionFor(half, config, size, { settings })).toEqual({});
      expect(divisionFor(half, config, size, { settings, budget: total })).toEqual({});
      expect(divisionFor(half, config, size, { settings, budget: total - 1 })).not.toEqual({});
    }
  });

  it("works on the pictures of a batch one by one before it cuts them up", () => {
    const one = stageBytes("decoder", config, { images: 1, height: 32, width: 32 }, settings);
    const batch = { images: 4, height: 32, width: 32 };
    const budget = 1.5 * one.total;
    const division = divisionFor("decoder", config, batch, { settings, budget });
    expect(division).toEqual({ tile: 32 });
    expect(stageBytes("decoder", config, batch, settings, division).total).toBeLessThan(budget);
    const less = divisionFor("decoder", config, batch, { settings, budget: 0.8 * one.total });
    expect(less).toMatchObject({ tile: 32, bands: { levels: 1 } });
    expect(stageBytes("decoder", config, batch, settings, less).total).toBeLessThan(0.8 * one.total);
    const pictures = { images: 4, height: 256, width: 256 };
    const single = stageBytes("encoder", config, { ...pictures, images: 1 }, settings);
    const encoding = divisionFor("encoder", config, pictures, { settings, budget: 1.5 * single.total });
    expect(encoding).toEqual({ tile: 32 });
    expect(stageBytes("encoder", config, pictures, settings, encoding).total).toBeLessThan(1.5 * single.total);
  });

  it("respects the largest buffer of a device", () => {
    const limited = (maxBufferSize: number) => ({ gpu: { limits: { maxBufferSize } } });
    const { largest } = stageBytes("decoder", config, latent, settings);
    expect(largest).toBe(2048 * MiB); // 256 channels of 2048 x 2048
    const division = (size: number) => divisionFor("decoder", config, latent, { settings, device: limited(size) });
    expect(division(largest)).toEqual({});
    const bands = division(largest / 4);
    expect(bands).toEqual({ bands: { levels: 2, rows: 64 } });
    expect(stageBytes("decoder", config, latent, settings, bands).largest).toBeLessThanOrEqual(largest / 4);
    const few = { tile: 72 };
    expect(stageBytes("encoder", config, picture, settings, few).largest).toBeLessThan(256 * MiB);
  });

  it("says what is missing where no tile fits", () => {
    const refused = () => divisionFor("decoder", config, latent, { settings, budget: 16 * MiB });
    expect(refused).toThrow(
      /^decoder of 1 x 256 x 256: takes \d+ bytes in tiles of 8 latent pixels, the budget is 16777216$/,
    );
  });

  it("keeps RGBA alone where a binding cannot span the values", () => {
    const size = { images: 1, height: 48, width: 48 };
    const bytes = (maxBinding: number) =>
      stageBytes("decoder", smallStages.kl, size, { dtype: "f32", maxBinding }, { tile: 8 });
    const factor = downsampling(smallStages.kl);
    const pixels = (48 * factor) ** 2;
    const [wide, narrow] = [bytes(12 * pixels), bytes(12 * pixels - 16)];
    expect(wide.total - narrow.total).toBe(12 * pixels); // f32 and RGBA, against RGBA
  });
});
