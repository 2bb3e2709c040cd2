import { dtypeBytes } from "../core/dtype.js";
import { WebldmError } from "../core/invariant.js";
import { alignUp, sizeOf } from "../core/shape.js";
import type { Graph, GraphOptions } from "../graph/graph.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import { winograd } from "../ops/conv2dWinograd.js";
import { storageBytes } from "../plan/lifetimes.js";
import { measure, poolBytes } from "../plan/measure.js";
import type { Checkpoint } from "./checkpoint.js";
import { type Component, neededComponents, requestsOf, settingsOf, storeOf } from "./components.js";
import { divisionFor, stageBytes, stageGraphs } from "./division.js";
import type { CheckpointOptions, ModelSource } from "./loadOptions.js";
import { openCheckpoint } from "./openCheckpoint.js";
import { type RequestShape, requestGraphs } from "./requestGraphs.js";

/** What decides whether an adapter can run a model. */
export interface AdapterLimits extends Pick<GPUSupportedLimits, "maxBufferSize" | "maxStorageBufferBindingSize"> {
  /** Bytes of memory, where the caller knows them: WebGPU does not tell. */
  readonly memory?: number;
}

/** Which picture is asked about, and on which adapter. */
export interface EstimateOptions extends RequestShape {
  /** Type in which weights and activations are stored on the device. */
  readonly dtype?: "f32" | "f16";
  /** Of the adapter in question: `adapter.limits` will do. */
  readonly limits?: AdapterLimits;
  /** What ops choose their forms by, where the device is there: some forms hold sums that others do without. @internal */
  readonly traits?: Pick<GraphOptions, "software" | "subgroup" | "matrix" | "winograd">;
}

/** What a model and a picture will take, in bytes; found without reading weights. */
export interface Estimate {
  /**
   * Of the files that loading reads: of those that go through the cache, what is still to be fetched, whole files; of
   * others the tensors that are needed.
   */
  readonly download: number;
  /** Weights on the device. */
  readonly weights: number;
  /** Everything else on the device, for a picture from noise. Tasks that begin with a picture need the encoder as well. */
  readonly intermediates: number;
  /** The largest single buffer. */
  readonly largestBuffer: number;
  /** The parts that loading brings to the device, and their weights. */
  readonly components: readonly { readonly name: string; readonly bytes: number }[];
  /** Whether the adapter can do it, where `limits` were given. Its memory counts only if `limits` name it. */
  readonly fits?: boolean;
  /** Why not. */
  readonly reason?: string;
}

const unlimited: AdapterLimits = {
  maxBufferSize: Number.POSITIVE_INFINITY,
  maxStorageBufferBindingSize: Number.POSITIVE_INFINITY,
};

/** As {@link estimate}, of a model that is opened for it unless it is open; only headers and configurations are read. */
export async function estimateSource(
  source: ModelSource | Checkpoint,
  options: EstimateOptions & CheckpointOptions,
): Promise<Estimate> {
  if (typeof source === "object" && "stored" in source) return estimate(source, options);
  const checkpoint = await openCheckpoint(source, options);
  try {
    return await estimate(checkpoint, options);
  } finally {
    checkpoint.close?.();
  }
}

/**
 * What a checkpoint will take on an adapter. Buffers are planned as they would be for a request of this size.
 * @throws WebldmError for a request that the model cannot fulfil
 */
export async function estimate(checkpoint: Checkpoint, options: EstimateOptions = {}): Promise<Estimate> {
  const { dtype = "f32", limits, traits } = options;
  const { fetching } = checkpoint;
  const base: GraphOptions = { ...(traits ?? { winograd }), dtype, maxBinding: Number.POSITIVE_INFINITY };
  const components: { name: Component; bytes: number }[] = [];
  let largestWeight = { name: "", bytes: 0 };
  let download = (await fetching?.left()) ?? 0;
  for (const name of neededComponents(checkpoint)) {
    const requests = await requestsOf(name, checkpoint, settingsOf(name, checkpoint.config, base));
    let bytes = 0;
    for (const weight of requests) {
      const size = alignUp(sizeOf(weight.shape) * dtypeBytes[weight.dtype], 16);
      bytes += size;
      if (size > largestWeight.bytes) largestWeight = { name: weight.name, bytes: size };
      const tensor = checkpoint.stored[storeOf[name]]?.get(weight.name);
      if (tensor && !fetching?.isOfCache(tensor.source)) download += tensor.end - tensor.begin;
    }
    components.push({ name, bytes });
  }
  const weights = components.reduce((sum, { bytes }) => sum + bytes, 0);
  const { bytes: intermediates, largest, problem } = await planned(checkpoint, options, base, limits);
  const largestBuffer = Math.max(largest, largestWeight.bytes);
  const sizes = {
    download,
    weights,
    intermediates,
    largestBuffer,
    components,
  };
  if (!limits) return sizes;
  const { maxBufferSize, memory = Number.POSITIVE_INFINITY } = limits;
  const reason =
    problem ??
    (largestWeight.bytes > maxBufferSize
      ? `${largestWeight.name}: needs a buffer of ${largestWeight.bytes} bytes, the adapter allows ${maxBufferSize}`
      : weights + intermediates > memory
        ? `needs ${weights + intermediates} bytes of memory, there are ${memory}`
        : undefined);
  return { ...sizes, fits: reason === undefined, ...(reason === undefined ? {} : { reason }) };
}

/** Bytes beside the weights, as planned for an adapter, or why it cannot; then as they would be without its limits. */
async function planned(
  checkpoint: Checkpoint,
  options: EstimateOptions,
  base: GraphOptions,
  limits: AdapterLimits | undefined,
): Promise<{ bytes: number; largest: number; problem?: string }> {
  try {
    return await plannedFor(checkpoint, options, base, limits ?? unlimited);
  } catch (error) {
    if (!limits || !(error instanceof WebldmError)) throw error;
    return { ...(await plannedFor(checkpoint, options, base, unlimited)), problem: error.message };
  }
}

async function plannedFor(
  checkpoint: Checkpoint,
  options: EstimateOptions,
  base: GraphOptions,
  { maxBufferSize, maxStorageBufferBindingSize }: AdapterLimits,
): Promise<{ bytes: number; largest: number }> {
  const { config, preview } = checkpoint;
  const settings = { ...base, maxBinding: Math.floor(maxStorageBufferBindingSize / 16) * 16 };
  const { denoise, blend, context, latent } = await requestGraphs(checkpoint, options, settings);
  const graphs = [denoise, blend, ...(context ? [context] : [])];
  const stages: Graph[] = [];
  let lasting = 0;
  const stage = (...parameters: Parameters<typeof stageGraphs>) => {
    const own = stageGraphs(...parameters);
    stages.push(...own);
    lasting += stageBytes(...parameters).total - poolBytes(own.map(measure));
  };
  const device = { gpu: { limits: { maxBufferSize } } };
  const { memoryBudget: budget } = options;
  const decoder = (of: FirstStageConfig, own: GraphOptions) => {
    const fitted = { settings: own, device, ...(budget === undefined ? {} : { budget }) };
    stage("decoder", of, latent, own, divisionFor("decoder", of, latent, fitted));
  };
  if (config.firstStage) decoder(config.firstStage, settingsOf("decoder", config, settings));
  if (preview) decoder(preview.config, settings);
  const measures = graphs.map(measure);
  let largest = 0;
  for (const graph of [...graphs, ...stages]) {
    for (const { id, kind: of, label } of graph.storages) {
      if (of === "weight") continue;
      const bytes = storageBytes(graph, id);
      largest = Math.max(largest, bytes);
      if (bytes > maxBufferSize) {
        throw new WebldmError(
          `${label || "a picture of this size"}: needs a buffer of ${bytes} bytes, the adapter allows ${maxBufferSize}`,
        );
      }
    }
  }
  const pool = poolBytes([...measures, ...stages.map(measure)]);
  return { bytes: pool + lasting + measures.reduce((sum, { pinned }) => sum + pinned, 0), largest };
}
