import { WebldmError } from "../core/invariant.js";
import type { Graph, GraphOptions } from "../graph/graph.js";
import { decodeLatent } from "../models/autoencoder.js";
import type { AutoencoderConfig } from "../models/autoencoderConfig.js";
import { storageBytes } from "../plan/lifetimes.js";
import { measure, poolBytes } from "../plan/measure.js";
import { decoderGraph } from "./decoderGraph.js";
import type { StageSize } from "./tileGrid.js";

export interface StageBytes {
  /** Intermediates, inputs and results together. */
  readonly total: number;
  /** The largest single buffer. */
  readonly largest: number;
}

/** Programs that share a pool, and by their labels all values that outlive a run. */
export function programBytes(graphs: readonly Graph[]): StageBytes {
  const measures = graphs.map(measure);
  const kept = new Map<string, number>();
  for (const graph of graphs) {
    for (const { id, kind, label } of graph.storages) {
      const lasting = kind === "input" || kind === "state" || graph.outputs.has(id);
      if (!lasting) continue;
      const key = label || `output ${id}`;
      kept.set(key, Math.max(kept.get(key) ?? 0, storageBytes(graph, id)));
    }
  }
  const lasting = [...kept.values()];
  return {
    total: poolBytes(measures) + lasting.reduce((a, b) => a + b, 0),
    largest: Math.max(...lasting, ...measures.map(({ slots }) => slots[0] ?? 0)),
  };
}

export interface TileOptions {
  readonly settings: GraphOptions;
  /** Bytes that intermediates, inputs and results may take together; no limit where absent. */
  readonly budget?: number;
  /** Where the programs will run: its largest buffer counts. */
  readonly device?: { readonly gpu: { readonly limits: Pick<GPUSupportedLimits, "maxBufferSize"> } };
}

/** The most that a stage may take. */
export const limitsOf = ({ budget = Number.POSITIVE_INFINITY, device }: TileOptions): StageBytes => ({
  total: budget,
  largest: device?.gpu.limits.maxBufferSize ?? Number.POSITIVE_INFINITY,
});

/** Whether a decoder fits in one piece: most do, and then no more needs to be known about tiles. */
export function decoderFits(config: AutoencoderConfig, size: StageSize, options: TileOptions): boolean {
  const most = limitsOf(options);
  try {
    const { total, largest } = programBytes([decoderGraph(config, size, options.settings, decodeLatent).graph]);
    return total <= most.total && largest <= most.largest;
  } catch (error) {
    if (error instanceof WebldmError) return false; // exceeds a binding where bands do not help
    throw error;
  }
}
