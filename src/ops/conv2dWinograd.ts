import { dtypeBytes } from "../core/dtype.js";
import { defineKernel } from "../core/kernel.js";
import { alignUp, ceilDiv, sizeOf } from "../core/shape.js";
import type { WinogradCall, WinogradForm, WinogradShape } from "../core/winogradForm.js";
import { bindingAlignment, linearGrid, type Tensor } from "../graph/graph.js";
import { type Block, blocks, chooseTile, estimate, productTime } from "./tile.js";

export const winogradWeightKernel = defineKernel({
  name: "winogradWeight",
  code: () => import("../../shaders/winogradWeight.wgsl"),
  reads: ["weight"],
  writes: ["u"],
  params: { outputs: "u32", firstOutput: "u32", channels: "u32" },
  consts: ["W"],
});

export const winogradInputKernel = defineKernel({
  name: "winogradInput",
  code: () => import("../../shaders/winogradInput.wgsl"),
  reads: ["x"],
  writes: ["v"],
  params: {
    tiles: "u32",
    firstTile: "u32",
    tilesDown: "u32",
    tilesAcross: "u32",
    channels: "u32",
    height: "u32",
    width: "u32",
    gatherHeight: "u32",
    gatherWidth: "u32",
    padTop: "i32",
    padLeft: "i32",
  },
  consts: ["T", "RESIZE", "ACT_IN"],
});

export const winogradProductKernel = defineKernel({
  name: "winogradProduct",
  code: () => import("../../shaders/winogradProduct.wgsl"),
  reads: ["v", "u"],
  writes: ["m"],
  params: { tiles: "u32", outputs: "u32", channels: "u32" },
  consts: ["TILE_M", "TILE_N", "QM", "QN"],
});

export const winogradOutputKernel = defineKernel({
  name: "winogradOutput",
  code: () => import("../../shaders/winogradOutput.wgsl"),
  reads: ["m", "bias", "channelBias", "residual"],
  writes: ["y"],
  params: {
    tiles: "u32",
    firstTile: "u32",
    tilesDown: "u32",
    tilesAcross: "u32",
    outHeight: "u32",
    outWidth: "u32",
    outputs: "u32",
    columns: "u32",
    firstOutput: "u32",
  },
  consts: ["T", "O", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL"],
});

/** Outputs along a side of a tile, and places of its transformed patch. */
const side = 4;
const places = 36;

/**
 * Bytes that a transformed weight may take, and that transformed patches and their products may take together: less where the
 * input and the output are large, for there a network takes the most memory.
 */
const mostWeight = (around: number): number => Math.max(32 << 20, (80 << 20) - around);
const mostValues = (around: number): number => Math.max(16 << 20, (48 << 20) - around);

/** How the work is cut up: rows of tiles a band, output channels a part of the weight, and the product's block. */
interface Cut {
  readonly lines: number;
  readonly columns: number;
  readonly block: Block;
}

const tilesOf = ({ outHeight, outWidth }: WinogradShape) => ({
  tilesDown: ceilDiv(outHeight, side),
  tilesAcross: ceilDiv(outWidth, side),
});

/** Size of parts that are nearly equal, multiples of `step`, and at most `most`, a multiple too. */
const partOf = (whole: number, most: number, step: number): number =>
  Math.min(whole, alignUp(ceilDiv(whole, ceilDiv(whole, most)), step));

/** Bytes a microsecond that passes over memory reach, and microseconds that one takes at least in a row of many; on an H200. */
const bandwidth = 2e6;
const launch = 3;
/** Of what `productTime` takes for one: the microseconds that it takes only where it runs alone. */
const alone = 3;

function cutOf({ dtype, graph }: Tensor, shape: WinogradShape): Cut {
  const { images, channels, outputs, outHeight, outWidth } = shape;
  const { maxBinding } = graph;
  const { tilesDown, tilesAcross } = tilesOf(shape);
  const around = images * outHeight * outWidth * (channels + outputs) * dtypeBytes[dtype];
  const most = Math.floor(Math.min(mostWeight(around), maxBinding) / (4 * places * channels));
  const step = most < 64 ? 4 : 64; // whole blocks of the product
  const columns = partOf(outputs, most - (most % step), step);
  const line = 4 * places * tilesAcross;
  const byValues = mostValues(around) / (line * (channels + columns));
  const byBinding = maxBinding / (line * Math.max(channels, columns));
  const all = images * tilesDown;
  const longest = Math.max(1, Math.min(all, Math.floor(Math.min(byValues, byBinding))));
  // Of the bands that the memory holds those whose products keep the cores busy the best.
  const cuts = Array.from({ length: Math.min(longest, 16) }, (_, i) => longest - i).flatMap((lines) =>
    blocks.map((block): Cut => ({ lines, columns, block })),
  );
  const time = ({ lines, block }: Cut) =>
    ceilDiv(all, lines) * (2 * launch + blockTime(block, lines * tilesAcross, columns, channels));
  return cuts.reduce((a, b) => (time(b) < time(a) ? b : a));
}

const blockTime = (block: Block, rows: number, columns: number, channels: number): number =>
  productTime(block, places * ceilDiv(rows, block.m) * ceilDiv(columns, block.n), channels) - alone;

/** Microseconds that the convolution takes this way. */
function winogradTime(shape: WinogradShape, { lines, columns, block }: Cut, bytes: number): number {
  const { images, channels, outputs, outHeight, outWidth } = shape;
  const { tilesDown, tilesAcross } = tilesOf(shape);
  const tiles = images * tilesDown * tilesAcross;
  const bands = ceilDiv(images * tilesDown, lines);
  const parts = ceilDiv(outputs, columns);
  // Written once and read once; a patch is read about twice, and anew for each part of the weight.
  const weight = outputs * channels * (9 * bytes + 8 * places);
  const input = parts * tiles * channels * (32 * bytes + 4 * places);
  const output = images * outHeight * outWidth * outputs * bytes + 8 * places * tiles * outputs;
  const passes = parts * (1 + bands * 2);
  const product = bands * parts * blockTime(block, lines * tilesAcross, columns, channels);
  return passes * launch + (weight + input + output) / bandwidth + product;
}

function takes(x: Tensor, shape: WinogradShape): boolean {
  const { images, outHeight, outWidth, channels, outputs } = shape;
  // The input, the output and the weight whole, a line of tiles, and four channels of the transformed weight.
  const bound = [
    ...[sizeOf(x.shape), images * outHeight * outWidth * outputs, 9 * channels * outputs],
    ...[places * tilesOf(shape).tilesAcross * Math.max(channels, outputs), 4 * places * channels],
  ];
  return channels % 8 === 0 && outputs % 4 === 0 && bound.every((size) => 4 * size <= x.graph.maxBinding);
}

/** Microseconds that tiles take for less work than four passes are worth. */
const worthwhile = 40;

function prefers(x: Tensor, shape: WinogradShape): boolean {
  if (!takes(x, shape)) return false;
  const { images, outHeight, outWidth, channels, outputs } = shape;
  const rows = images * outHeight * outWidth;
  const tiled = estimate(chooseTile(rows, outputs, 9 * channels), rows, outputs);
  return tiled > worthwhile && winogradTime(shape, cutOf(x, shape), dtypeBytes[x.dtype]) < 0.9 * tiled;
}

/**
 * Records a convolution of 3 x 3 taps and stride 1 by Winograd's F(4 x 4, 3 x 3): 36 products for 16 outputs instead of
 * 144, in f32 throughout. The transformed weight, four times the size of the weight in f32, is made anew each time: keeping
 * it would take several gigabytes. Its passes go over memory that is reused, in bands of tiles and parts of the weight.
 */
function emit({ reads, y, shape, gather, consts }: WinogradCall<Tensor>): void {
  const { x, weight, bias, channelBias, residual } = reads;
  const { graph } = x;
  const { images, channels, outputs, outHeight, outWidth } = shape;
  const { T, W, O, RESIZE, ACT_IN, ACT, BIAS, CHANNEL_BIAS, RESIDUAL } = consts;
  const { lines, columns, block } = cutOf(x, shape);
  const grid = tilesOf(shape);
  const { tilesDown, tilesAcross } = grid;
  const { phase } = graph.storage(x);
  // Weight and patches lie in one piece of memory: plans keep pieces by their size, and few large ones fit those of others.
  const weightSize = alignUp(places * columns * channels, bindingAlignment / 4);
  const tilesMost = lines * tilesAcross;
  const read = graph.empty([weightSize + places * tilesMost * channels], "f32", "weight and patches");
  const m = graph.empty([places, tilesMost, columns], "f32", "products");
  const weightOf = (count: number) => ({ tensor: read, offset: 0, length: places * count * channels });
  const patchesOf = (tiles: number) => ({ tensor: read, offset: weightSize, length: places * tiles * channels });
  const productsOf = (tiles: number, count: number) => ({ tensor: m, offset: 0, length: places * tiles * count });
  let made = -1; // the band whose patches are there
  for (let firstOutput = 0; firstOutput < outputs; firstOutput += columns) {
    const count = Math.min(columns, outputs - firstOutput);
    graph.emit(winogradWeightKernel, {
      reads: { weight },
      writes: { u: weightOf(count) },
      params: { outputs: count, firstOutput, channels },
      consts: { W },
      grid: linearGrid(ceilDiv((count * channels) / 4, 64)),
      phase,
    });
    for (let line = 0; line < images * tilesDown; line += lines) {
      const tiles = Math.min(lines, images * tilesDown - line) * tilesAcross;
      const band = { tiles, firstTile: line * tilesAcross };
      if (made !== line) {
        graph.emit(winogradInputKernel, {
          reads: { x },
          writes: { v: patchesOf(tiles) },
          params: { ...band, ...grid, channels, ...gather },
          consts: { T, RESIZE, ACT_IN },
          grid: linearGrid(ceilDiv((tiles * channels) / 4, 64)),
        });
        made = line;
      }
      graph.emit(winogradProductKernel, {
        reads: { v: patchesOf(tiles), u: weightOf(count) },
        writes: { m: productsOf(tiles, count) },
        params: { tiles, outputs: count, channels },
        consts: { TILE_M: block.m, TILE_N: block.n, QM: block.quads[0], QN: block.quads[1] },
        grid: [ceilDiv(count, block.n), ceilDiv(tiles, block.m), places],
      });
      graph.emit(winogradOutputKernel, {
        reads: { m: productsOf(tiles, count), bias, channelBias, residual },
        writes: { y },
        params: { ...band, ...grid, outHeight, outWidth, outputs, columns: count, firstOutput },
        consts: { T, O, ACT, BIAS, CHANNEL_BIAS, RESIDUAL },
        grid: linearGrid(ceilDiv((tiles * count) / 4, 64)),
      });
    }
  }
}

export const winograd: WinogradForm<Tensor> = { takes, prefers, emit };
