import { invariant } from "../core/invariant.js";
import { sameShape, showShape } from "../core/shape.js";
import { reshape, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { affine } from "../ops/affine.js";
import { embedding } from "../ops/embedding.js";
import { linear } from "../ops/linear.js";
import { timestepEmbedding } from "../ops/timestepEmbedding.js";

/** How labels become a vector as wide as the time embedding (`num_class_embeds`, `class_embed_type` of diffusers). */
export type LabelEmbedding =
  /** A learned row a class; labels are class indices [N] in u32. Those beyond the table must be refused before. */
  | { readonly kind: "table"; readonly classes: number }
  /** As times are embedded, with a network of its own; labels are real numbers [N] in f32. */
  | { readonly kind: "timestep" }
  /** Labels are the embedding itself, [N, time width] in f32. */
  | { readonly kind: "identity" }
  /** Two layers with SiLU between them; labels are vectors [N, inputs] in f32. */
  | { readonly kind: "projection"; readonly inputs: number }
  /** One layer; labels are vectors [N, inputs] in f32. */
  | { readonly kind: "simple_projection"; readonly inputs: number };

/** How wide the embeddings are, and how real numbers become waves. */
export interface TimeWaves {
  /** Channels of the sinusoidal embedding. */
  readonly channels: number;
  readonly cosineFirst: boolean;
  readonly frequencyShift: number;
}

/** The two layers after a sinusoidal embedding (TimestepEmbedding in diffusers): [N, D] to [N, out], plus `residual`. */
export function timeLayers(w: Scope, x: Tensor, out: number, residual?: Tensor): Tensor {
  const hidden = linear(x, w.at("linear_1"), { out, act: "silu", dtype: w.graph.dtype });
  return linear(hidden, w.at("linear_2"), { out, ...(residual ? { residual } : {}) });
}

/** Labels of N pictures to [N, width]. */
export function embedLabels(w: Scope, labels: Tensor, kind: LabelEmbedding, width: number, waves: TimeWaves): Tensor {
  const [n] = labels.shape as [number];
  const { dtype } = w.graph;
  switch (kind.kind) {
    case "table": {
      const table = w.matrix("weight", [kind.classes, width]);
      return reshape(embedding(reshape(labels, [n, 1]), table), [n, width]);
    }
    case "timestep":
      return timeLayers(w, timestepEmbedding(labels, waves), width);
    case "identity":
      return affine(labels, { dtype });
    case "projection":
      return timeLayers(w, labels, width);
    case "simple_projection":
      return linear(labels, w, { out: width, dtype });
  }
}

/** Checks that labels are what the model takes; `count` pictures are asked for. */
export function checkLabels(labels: Tensor, kind: LabelEmbedding, width: number, count: number): void {
  const inner = kind.kind === "identity" ? [width] : "inputs" in kind ? [kind.inputs] : [];
  const shape = [count, ...inner];
  const dtype = kind.kind === "table" ? "u32" : "f32";
  invariant(
    sameShape(labels.shape, shape) && labels.dtype === dtype,
    `unet: labels are ${showShape(labels.shape)} ${labels.dtype}, expected ${showShape(shape)} ${dtype}`,
  );
}
