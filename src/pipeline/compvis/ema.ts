import type { StoredTensor } from "../../weights/safetensors.js";

/**
 * A UNet's weights replaced by their running averages, where the file has them. `unet` holds names without prefix; an
 * average is named `model_ema.` and the parameter's path below `model.`, all dots removed.
 */
export function averagedWeights(
  unet: ReadonlyMap<string, StoredTensor>,
  all: ReadonlyMap<string, StoredTensor>,
): { readonly tensors: ReadonlyMap<string, StoredTensor>; readonly found: boolean } {
  let found = false;
  const tensors = new Map(
    [...unet].map(([name, tensor]) => {
      const average = all.get(`model_ema.diffusion_model${name.replaceAll(".", "")}`);
      if (average) found = true;
      return [name, average ?? tensor] as const;
    }),
  );
  return { tensors, found };
}
