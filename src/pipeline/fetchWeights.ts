import type { Checkpoint } from "./checkpoint.js";
import { neededComponents, storedBytes } from "./components.js";
import type { LoadOptions } from "./loadOptions.js";

/** Brings a model's files into the cache. What is left to do goes on with the progress made here. */
export async function fetchWeights(
  checkpoint: Checkpoint,
  { onProgress, signal }: Pick<LoadOptions, "onProgress" | "signal">,
): Promise<Pick<LoadOptions, "onProgress" | "signal">> {
  const { fetching } = checkpoint;
  const rest = signal ? { signal } : {};
  const fetched = fetching?.total ?? 0;
  const settings = { dtype: "f32", maxBinding: Number.POSITIVE_INFINITY } as const;
  let total = fetched;
  for (const component of neededComponents(checkpoint)) total += await storedBytes(component, checkpoint, settings);
  let loaded = 0;
  await fetching?.run({
    onBytes: (bytes, file) => {
      loaded += bytes;
      onProgress?.({ loaded, total, file });
    },
    ...rest,
  });
  if (!onProgress) return rest;
  return { ...rest, onProgress: (progress) => onProgress({ ...progress, loaded: fetched + progress.loaded, total }) };
}
