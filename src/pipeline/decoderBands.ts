import type { GraphOptions, Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { type Bands, decodeInBands } from "../models/decoderBands.js";
import { decodePicture, type FirstStageConfig } from "../models/firstStage.js";
import { decoderGraph } from "./decoderGraph.js";
import type { StageSize } from "./tileGrid.js";

/** Decodes as a division says: with the last levels in bands of rows, or at once. */
export const decodeDivided = (w: Scope, latent: Tensor, config: FirstStageConfig, bands: Bands | undefined): Tensor =>
  bands && config.kind !== "tiny" ? decodeInBands(w, latent, config, bands) : decodePicture(w, latent, config);

/** As `decoderGraph` for one picture, with the last levels in bands of rows. */
export const bandedDecoderGraph = (config: FirstStageConfig, size: StageSize, settings: GraphOptions, bands: Bands) =>
  decoderGraph(config, size, settings, (w, latent, of) => decodeDivided(w, latent, of, bands));
