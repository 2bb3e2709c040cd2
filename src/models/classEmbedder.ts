import { Fields } from "../core/json.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { embedding } from "../ops/embedding.js";

/** ClassEmbedder of the original code: one vector for each class. */
export interface ClassEmbedderConfig {
  /** Rows of the table. In cin256-v2 the last one, 1000, stands for no class. */
  readonly classes: number;
  readonly width: number;
}

/** @throws WebldmError that names a field with an impossible value. */
export function parseClassEmbedderConfig(json: unknown, file = "cond_stage_config"): ClassEmbedderConfig {
  const f = new Fields(json, file);
  return { classes: f.count("n_classes", 1000), width: f.count("embed_dim") };
}

/**
 * Class labels [N, T] (u32), T = 1 in the original code, to the context [N, T, width]. Labels beyond the table must be refused
 * before they get here: their rows are not written. `w` is the root of the names; it holds `embedding.weight`.
 */
export function classEmbedding(w: Scope, labels: Tensor, { classes, width }: ClassEmbedderConfig): Tensor {
  return embedding(labels, w.at("embedding").matrix("weight", [classes, width]));
}
