import type { GraphOptions } from "../graph/graph.js";
import type { AutoencoderConfig } from "../models/autoencoderConfig.js";
import { type Bands, decodeInBands } from "../models/decoderBands.js";
import { decoderGraph } from "./decoderGraph.js";
import type { StageSize } from "./tileGrid.js";

/** As `decoderGraph`, with the last levels in bands of rows. */
export const bandedDecoderGraph = (config: AutoencoderConfig, size: StageSize, settings: GraphOptions, bands: Bands) =>
  decoderGraph(config, size, settings, (w, latent, of) => decodeInBands(w, latent, of, bands));
