import type { Checkpoint } from "./checkpoint.js";
import { neededComponents, storedBytes } from "./components.js";
import type { LoadOptions } from "./loadOptions.js";

type Options = Pick<LoadOptions, "onProgress" | "signal">;

/**
 * Brings a model's files into the cache while `use` reads their weights as they come, with options that go on with the
 * progress made here. Either that fails ends the other; what `use` has made is disposed of then.
 */
export async function fetchWeights<T extends { dispose(): void }>(
  checkpoint: Checkpoint,
  { onProgress, signal: outer }: Options,
  use: (options: Options) => Promise<T>,
): Promise<T> {
  const { fetching } = checkpoint;
  const settings = { dtype: "f32", maxBinding: Number.POSITIVE_INFINITY } as const;
  let total = 0;
  for (const component of neededComponents(checkpoint)) total += await storedBytes(component, checkpoint, settings);
  let loaded = 0;
  const advance = (bytes: number, file: string) => {
    loaded += bytes;
    onProgress?.({ loaded, total, file });
  };
  const stop = new AbortController();
  const signal = outer ? AbortSignal.any([outer, stop.signal]) : stop.signal;
  const failures: unknown[] = [];
  const failed = (error: unknown) => {
    failures.push(error);
    stop.abort(error);
  };
  const run = await fetching?.begin({ onBytes: advance, signal });
  total += run?.total ?? 0;
  const fetched = run?.done.catch(failed);
  let before = 0;
  const used = use({
    signal,
    onProgress: ({ loaded: now, file }) => {
      advance(now - before, file);
      before = now;
    },
  })
    .catch(failed)
    .finally(() => run?.release());
  const [made] = await Promise.all([used, fetched]);
  if (made && failures.length === 0) return made;
  made?.dispose();
  throw failures[0];
}
