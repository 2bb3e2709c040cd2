import { UnsupportedError } from "../core/invariant.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { bertText } from "../models/bert.js";
import { classEmbedding } from "../models/classEmbedder.js";
import type { Conditioner } from "./modelConfig.js";

/** Encoders that latent diffusion trains along with the UNet: of captions and layouts, and of classes. */
export function ownContext(w: Scope, ids: Tensor, conditioner: Conditioner): Tensor {
  switch (conditioner.kind) {
    case "bert":
    case "boxes":
      return bertText(w, ids, conditioner.config);
    case "class":
      return classEmbedding(w, ids, conditioner);
    default:
      throw new UnsupportedError(`a model conditioned on ${conditioner.kind} has no encoder of ids`);
  }
}
