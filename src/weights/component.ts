import type { Weights } from "./openWeights.js";
import type { StoredTensor } from "./safetensors.js";

/** A part of a model in a folder of its own, before it is written. */
export interface Component {
  /** Its folder: "unet", "text_encoder"; "" is the model's own folder. */
  readonly path: string;
  /** By the names they are to have. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** JSON files beside the tensors, by name: "config.json". */
  readonly json?: Readonly<Record<string, unknown>>;
  /** Other files beside the tensors, by name: "merges.txt". */
  readonly text?: Readonly<Record<string, string>>;
  /**
   * How files of weights are called, without ending. @defaultValue "diffusion_pytorch_model" where config.json names a
   * class as diffusers does (`_class_name`), else "model"
   */
  readonly stem?: string;
  /** Goes into each file of weights. */
  readonly metadata?: ReadonlyMap<string, string>;
}

/**
 * Brings a single file of another layout, such as that of the original code, into components in diffusers' layout;
 * undefined where it is not of the kind it knows.
 */
export type Translation = (weights: Weights, signal?: AbortSignal) => Promise<readonly Component[] | undefined>;

export function stemOf({ stem, json }: Component): string {
  if (stem !== undefined) return stem;
  const config = json?.["config.json"];
  const isDiffusers = typeof config === "object" && config !== null && "_class_name" in config;
  return isDiffusers ? "diffusion_pytorch_model" : "model";
}
