import { WebldmError } from "../core/invariant.js";
import type { GraphOptions } from "../graph/graph.js";
import { decodeLatent } from "../models/autoencoder.js";
import type { AutoencoderConfig } from "../models/autoencoderConfig.js";
import { storageBytes } from "../plan/lifetimes.js";
import { decoderGraph } from "./decoderGraph.js";
import type { StageSize } from "./tileGrid.js";

/** Whether a decoder works in one piece with buffers of a size. Most do, and then nothing needs to be known about tiles. */
export function decoderFits(
  config: AutoencoderConfig,
  size: StageSize,
  settings: GraphOptions,
  maxBufferSize: number,
): boolean {
  try {
    const { graph } = decoderGraph(config, size, settings, decodeLatent);
    return graph.storages.every(({ id, kind }) => kind === "weight" || storageBytes(graph, id) <= maxBufferSize);
  } catch (error) {
    if (error instanceof WebldmError) return false; // exceeds a binding where bands do not help
    throw error;
  }
}
