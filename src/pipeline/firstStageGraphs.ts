import { invariant } from "../core/invariant.js";
import { type Shape, sizeOf } from "../core/shape.js";
import { Graph, type GraphOptions, type Tensor, type WeightRequest } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { downsampling } from "../models/autoencoder.js";
import { codeChannels, decodePicture, encodePicture, type FirstStageConfig } from "../models/firstStage.js";
import { affine } from "../ops/affine.js";
import { cutTile } from "../ops/cutTile.js";
import { gaussian } from "../ops/gaussian.js";
import { type MergeGrid, mergeTile, stripShapes } from "../ops/mergeTile.js";
import { toRgba } from "../ops/toRgba.js";
import type { StageSize, TileGrid } from "./tileGrid.js";

/** A latent as the denoiser has it to pictures, in one piece. `size` is the latent's. */
export function decoderGraph(config: FirstStageConfig, size: StageSize, settings: GraphOptions) {
  const graph = new Graph(settings);
  const { images, height, width } = size;
  const latent = graph.input("latent to decode", [images, height, width, config.latentChannels], "f32", "step");
  const { scale, shift } = toRaw(config);
  const z = scale === 1 && shift === 0 ? latent : affine(latent, { scale, shift });
  const picture = graph.output(decodePicture(new Scope(graph), z, config));
  return { graph, latent, picture, rgba: graph.output(toRgba(picture)) };
}

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
) {
  const graph = new Graph(settings);
  const factor = downsampling(config);
  const { height, width, step } = grid;
  const latent = graph.input("latent to decode", [images, height, width, config.latentChannels], "f32", "step");
  const place = graph.input("place", [4], "u32", "step");
  const tile = cutTile(latent, place, { size, step, ...toRaw(config) });
  const decoded = decodePicture(new Scope(graph), tile, config);
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

/** Pictures to what the encoder says of the latent, in one piece. `size` is the picture's. */
export function encoderGraph(config: FirstStageConfig, { images, height, width }: StageSize, settings: GraphOptions) {
  const factor = downsampling(config);
  invariant(
    height % factor === 0 && width % factor === 0,
    `encoder: picture is ${width} x ${height}, expected multiples of ${factor}`,
  );
  const graph = new Graph(settings);
  const image = graph.input("image to encode", [images, height, width, config.inChannels], "f32", "step");
  return { graph, image, code: graph.output(encodePicture(new Scope(graph), image, config)) };
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

/** What the encoder says to the latent: its mean or, with noise, a sample; with or without the model's scaling. */
export function latentGraph(config: FirstStageConfig, size: StageSize, withScaling: boolean, settings: GraphOptions) {
  const graph = new Graph(settings);
  const { images, height, width } = size;
  const code = graph.input("code", [images, height, width, codeChannels(config)], "f32", "step");
  const { scalingFactor, shiftFactor } = config;
  const scaling = withScaling ? { scale: scalingFactor, shift: -shiftFactor * scalingFactor } : { scale: 1, shift: 0 };
  if (config.kind !== "kl") return { graph, code, noise: undefined, latent: graph.output(affine(code, scaling)) };
  const noise = graph.input("noise", [images, height, width, config.latentChannels], "f32", "step");
  return { graph, code, noise, latent: graph.output(gaussian(code, { noise, ...scaling })) };
}

/** The tensors that decoding asks for, by the names of diffusers. */
export const decoderRequests = (config: FirstStageConfig, settings: GraphOptions): WeightRequest[] =>
  decoderGraph(config, { images: 1, height: 1, width: 1 }, unbound(settings)).graph.requests();

/** The tensors that encoding asks for. */
export function encoderRequests(config: FirstStageConfig, settings: GraphOptions): WeightRequest[] {
  const side = downsampling(config);
  return encoderGraph(config, { images: 1, height: side, width: side }, unbound(settings)).graph.requests();
}

/** Weights are named whatever a binding can span: the programs that run come later. */
const unbound = (settings: GraphOptions): GraphOptions => ({ ...settings, maxBinding: Number.POSITIVE_INFINITY });

/** From the denoiser's latent to the first stage's own. */
const toRaw = ({ scalingFactor, shiftFactor }: FirstStageConfig) => ({ scale: 1 / scalingFactor, shift: shiftFactor });

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
