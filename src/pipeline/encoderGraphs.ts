import { invariant } from "../core/invariant.js";
import { Graph, type GraphOptions } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { downsampling } from "../models/autoencoder.js";
import { codeChannels, encodePicture, type FirstStageConfig } from "../models/firstStage.js";
import { affine } from "../ops/affine.js";
import { gaussian } from "../ops/gaussian.js";
import type { StageSize } from "./tileGrid.js";

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
