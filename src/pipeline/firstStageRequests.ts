import type { GraphOptions, WeightRequest } from "../graph/graph.js";
import { downsampling } from "../models/autoencoder.js";
import { decodePicture, type FirstStageConfig } from "../models/firstStage.js";
import { decoderGraph } from "./decoderGraph.js";
import { encoderGraph } from "./encoderGraphs.js";

/** The tensors that decoding asks for, by the names of diffusers. */
export const decoderRequests = (config: FirstStageConfig, settings: GraphOptions): WeightRequest[] =>
  decoderGraph(config, { images: 1, height: 1, width: 1 }, unbound(settings), decodePicture).graph.requests();

/** The tensors that encoding asks for. */
export function encoderRequests(config: FirstStageConfig, settings: GraphOptions): WeightRequest[] {
  const side = downsampling(config);
  return encoderGraph(config, { images: 1, height: side, width: side }, unbound(settings)).graph.requests();
}

/** Weights are named whatever a binding can span: the programs that run come later. */
const unbound = (settings: GraphOptions): GraphOptions => ({ ...settings, maxBinding: Number.POSITIVE_INFINITY });
