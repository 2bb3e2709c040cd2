import { UnsupportedError } from "../../core/invariant.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import type { Translated, TranslateOptions } from "./types.js";

export type { Part, Translated, TranslatedConcat, TranslatedConditioner, TranslateOptions } from "./types.js";

const firstConvolution = "model.diffusion_model.input_blocks.0.0.weight";

/** Whether these are the names of a whole checkpoint of the original code. */
export function isCompvis(tensors: ReadonlyMap<string, StoredTensor>): boolean {
  return tensors.has(firstConvolution);
}

/** A checkpoint of the original code (LatentDiffusion) in diffusers' form. */
export async function translate(
  tensors: ReadonlyMap<string, StoredTensor>,
  _options: TranslateOptions = {},
): Promise<Translated> {
  throw new UnsupportedError(`a checkpoint of ${tensors.size} tensors in the layout of the original code`);
}
