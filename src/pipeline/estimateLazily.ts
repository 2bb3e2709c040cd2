import type { Checkpoint } from "./checkpoint.js";
import type { Estimate, EstimateOptions } from "./estimate.js";
import type { CheckpointOptions, ModelSource } from "./loadOptions.js";

/**
 * What a model and a picture of a size will take, before any weights are fetched: only configurations and headers are
 * read. With `limits`, those of an adapter, it also says whether that one can do it.
 */
export const estimate = async (
  source: ModelSource | Checkpoint,
  options: EstimateOptions & CheckpointOptions = {},
): Promise<Estimate> => (await import("./estimate.js")).estimateSource(source, options);
