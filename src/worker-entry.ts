/** What a worker runs: an engine for each page's greeting, which brings the port to talk over. */
import { createEngine, folderFromFiles, folderFromHandle, type LatentDiffusion } from "./index.js";
import type { LoadOptions, ModelSource } from "./pipeline/loadOptions.js";
import { previewingBitmaps, withBitmaps } from "./worker/bitmaps.js";
import { Channel } from "./worker/channel.js";
import type { Answer, Greeting, Start, TravellingModel } from "./worker/protocol.js";
import type { WorkerSource } from "./worker/remote.js";

addEventListener("message", ({ data }: MessageEvent<Partial<Greeting> | undefined>) => {
  if (!(data?.webldm instanceof MessagePort)) return; // another's message
  const start: Start = async (options, base) => {
    const engine = await createEngine(options);
    return {
      adapter: engine.adapter,
      dtype: engine.dtype,
      async load(source, { pictures = "pixels", ...options }) {
        // Relative addresses mean what they mean on the page, wherever the worker's script lies.
        const model = await engine.load(sourceOf(source), { base, ...stoppedByCallback(options) });
        return travelling(model, pictures === "bitmap", (methods) => channel.forget(methods));
      },
      dispose: () => engine.dispose(),
    };
  };
  const channel = new Channel(data.webldm, true, start);
});

/** Handles and files cross over as they are. */
function sourceOf(source: WorkerSource): ModelSource {
  if (typeof source !== "object" || source instanceof URL || source instanceof Blob) return source;
  if (source instanceof FileSystemDirectoryHandle) return folderFromHandle(source);
  if (source instanceof FileList || Array.isArray(source)) return folderFromFiles(source as Iterable<File>);
  if (source instanceof Map) return folderFromFiles(source);
  return source as ModelSource;
}

/** What the page's `onProgress` throws stops the load, as it does on the page. */
function stoppedByCallback({ onProgress, signal, ...options }: LoadOptions): LoadOptions {
  if (!onProgress) return signal ? { ...options, signal } : options;
  const failed = new AbortController();
  return {
    ...options,
    signal: signal ? AbortSignal.any([signal, failed.signal]) : failed.signal,
    onProgress: async (progress) => {
      try {
        await onProgress(progress);
      } catch (error) {
        failed.abort(error);
      }
    },
  };
}

/** Every method of a model, whichever there are, as functions that the page can call. */
function travelling(
  model: LatentDiffusion,
  bitmaps: boolean,
  forget: (methods: TravellingModel["methods"][string][]) => void,
): TravellingModel {
  const methods: Record<string, (...args: unknown[]) => Promise<Answer>> = {};
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(model)))) {
    if (name === "constructor" || typeof value !== "function") continue;
    methods[name] = async (...args) => {
      const answer: unknown = await value.apply(model, bitmaps ? previewingBitmaps(args) : args);
      if (name === "dispose") forget(Object.values(methods));
      return { value: bitmaps ? await withBitmaps(answer) : answer, memory: model.memory };
    };
  }
  const { defaults, sizeMultiple, config, conditioning, tuning, memory } = model;
  return { facts: { defaults, sizeMultiple, config, conditioning, tuning }, methods, memory };
}
