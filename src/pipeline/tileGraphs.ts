import { type Shape, sizeOf } from "../core/shape.js";
import { Graph, type GraphOptions, type Tensor } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { downsampling } from "../models/autoencoder.js";
import type { Bands } from "../models/decoderBands.js";
import { codeChannels, encodePicture, type FirstStageConfig } from "../models/firstStage.js";
import { cutTile } from "../ops/cutTile.js";
import { type MergeGrid, mergeTile, stripShapes } from "../ops/mergeTile.js";
import { toRgba } from "../ops/toRgba.js";
import { decodeDivided } from "./decoderBands.js";
import { toRaw } from "./decoderGraph.js";
import type { TileGrid } from "./tileGrid.js";

/**
 * Decodes the tile at `place` of a latent [images, grid height, grid width, C] and merges it into the picture: values in
 * f32 where a binding can span them, else RGBA8.
 */
export function decoderTileGraph(
  config: FirstStageConfig,
  images: number,
  grid: TileGrid,
  size: readonly [number, number],
  settings: GraphOptions,
  bands?: Bands,
) {
  const graph = new Graph(settings);
  const factor = downsampling(config);
  const { height, width, step } = grid;
  const latent = graph.input("latent to decode", [images, height, width, config.latentChannels], "f32", "step");
  const place = graph.input("place", [4], "u32", "step");
  const tile = cutTile(latent, place, { size, step, ...toRaw(config) });
  const decoded = decodeDivided(new Scope(graph), tile, config, bands);
  const shape = [images, height * factor, width * factor];
  const packed = sizeOf(shape) * config.outChannels * 4 > graph.maxBinding;
  const picture = packed
    ? graph.state("packed picture", shape, "u32")
    : graph.state("picture", [...shape, config.outChannels]);
  return { graph, latent, place, picture, ...merge(decoded, place, picture, scaled(grid, factor)) };
}

/** A decoded picture to RGBA8. */
export function rgbaGraph(shape: Shape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const picture = graph.input("picture", shape, "f32", "step");
  return { graph, picture, rgba: graph.output(toRgba(picture)) };
}

/** Encodes one tile of a picture, given by itself, and merges it into the code [images, grid height, grid width, C] at `place`. */
export function encoderTileGraph(
  config: FirstStageConfig,
  images: number,
  grid: TileGrid,
  [height, width]: readonly [number, number],
  settings: GraphOptions,
) {
  const graph = new Graph(settings);
  const factor = downsampling(config);
  const image = graph.input("tile to encode", [1, height * factor, width * factor, config.inChannels], "f32", "step");
  const place = graph.input("place", [4], "u32", "step");
  const encoded = encodePicture(new Scope(graph), image, config);
  const code = graph.state("code", [images, grid.height, grid.width, codeChannels(config)]);
  return { graph, image, place, code, ...merge(encoded, place, code, grid) };
}

const scaled = ({ side, step, columns }: TileGrid, factor: number): MergeGrid => ({
  side: side * factor,
  step: step * factor,
  columns,
});

/** Merges a tile into a target, with the strips that it takes. */
function merge(tile: Tensor, place: Tensor, picture: Tensor, grid: MergeGrid) {
  const { graph } = tile;
  const shapes = stripShapes(grid, tile.shape[3]!);
  const strips = {
    below: graph.state("edges of the tiles above", shapes.below),
    right: graph.state("edge of the tile on the left", shapes.right),
  };
  mergeTile(tile, place, { picture, ...strips }, grid);
  return strips;
}
