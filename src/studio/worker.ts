import {
  cache,
  createEngine,
  type Engine,
  estimate,
  folderFromFiles,
  folderFromHandle,
  type ModelConfig,
  type ModelSource,
  openCheckpoint,
} from "../index.js";
import { Channel } from "../worker/channel.js";
import { type AdapterFacts, embedded, type ModelFacts, type Request, type Source, type Studio } from "./protocol.js";
import { drawPicture, type Easel } from "./worker/draw.js";
import { familyOf } from "./worker/family.js";
import { LatentColors } from "./worker/latentColors.js";
import { PreviewBudget } from "./worker/previewBudget.js";
import { stickerColors } from "./worker/stickerColors.js";

// Everything heavy of the page: the engine, its model, files, PNG. The page greets with a port; over it goes the rest.
addEventListener("message", ({ data }: MessageEvent<{ readonly studio?: MessagePort } | undefined>) => {
  if (data?.studio) new Channel(data.studio, true, start);
});

async function start(base: string): Promise<Studio> {
  const engine = await createEngine();
  const options = { base, cache: true, tokenizer: new URL("./weights/tokenizers", base) };
  let easel: Easel | undefined;
  let running: AbortController | undefined;
  let last: Request | undefined;
  let shape = "";

  return {
    adapter: adapterOf(engine),
    async inspect(source) {
      const checkpoint = await openCheckpoint(placeOf(source), options);
      try {
        const { defaults, config } = checkpoint;
        const { width, height } = defaults;
        const found = await estimate(checkpoint, { dtype: engine.dtype, limits: engine.device.gpu.limits });
        const { download, weights, intermediates, largestBuffer, reason } = found;
        const sizes = { download, weights, intermediates, largestBuffer, width, height };
        return { family: familyOf(config), ...sizes, ...(reason === undefined ? {} : { problem: reason }) };
      } finally {
        checkpoint.close?.();
      }
    },
    async load(source, onProgress, signal) {
      easel?.model.dispose();
      easel = undefined;
      // A CPU has no time to spare for what may not be asked for.
      const idle = !engine.device.features.software;
      const ahead = idle ? { prepare: {} } : {};
      const model = await engine.load(placeOf(source), { ...options, ...ahead, signal, onProgress });
      const colors = new LatentColors(source === embedded ? stickerColors : undefined);
      easel = { model, colors, previews: new PreviewBudget() };
      shape = "";
      // While a person still thinks about the words.
      if (idle) model.prepare().catch(() => undefined);
      const { defaults, sizeMultiple, conditioning, config, memory } = model;
      const facts = { family: familyOf(config), concat: config.concat.kind, defaults, sizeMultiple, memory };
      return { ...facts, conditioning, ...classesOf(config) } satisfies ModelFacts;
    },
    async draw(request, onStep) {
      if (!easel) throw new Error("No model is loaded.");
      const own = new AbortController();
      running = own;
      last = request;
      const now = `${request.mode} ${request.width} ${request.height}`;
      if (now !== shape) easel.previews.reset();
      shape = now;
      return drawPicture(easel, request, onStep, own.signal);
    },
    async stop() {
      running?.abort();
    },
    async lost() {
      const { message, reason } = await engine.device.gpu.lost;
      return message || reason;
    },
    async profile() {
      if (!easel || !last) throw new Error("Draw a picture first: the kernels of its steps are what is timed.");
      const { width, height, guidance, sampler } = last;
      return easel.model.profile({ width, height, guidance, ...(sampler ? { sampler } : {}) });
    },
    async cached() {
      return (await cache.list()).map(({ address, bytes }) => ({ address, bytes }));
    },
    forget: (which) => cache.delete(which),
  };
}

function adapterOf({ adapter, dtype, device }: Engine): AdapterFacts {
  const { software, timestamps } = device.features;
  return { name: adapter, dtype, software, timestamps, largestBuffer: device.gpu.limits.maxBufferSize };
}

const classesOf = ({ conditioner }: ModelConfig): { readonly classes?: number } =>
  conditioner.kind === "class" ? { classes: conditioner.classes } : {};

function placeOf(source: Source): ModelSource {
  if (typeof source === "string" || source instanceof Blob) return source;
  return source instanceof Map ? folderFromFiles(source) : folderFromHandle(source as FileSystemDirectoryHandle);
}
