// The part of the loading bench that runs in the page: starts with the page, and leaves its result in `webldmLoading`.
import type { GraphOptions } from "../src/graph/graph.js";
import { decodeLatent } from "../src/models/autoencoder.js";
import type { Checkpoint } from "../src/pipeline/checkpoint.js";
import { contextGraph, recorderOf } from "../src/pipeline/contextEncoder.js";
import { decoderGraph } from "../src/pipeline/decoderGraph.js";
import { blendGraph, type DenoiseShape, denoiseGraph } from "../src/pipeline/denoiser.js";
import { createEngine } from "../src/pipeline/engine.js";
import { contextLength, latentFactor } from "../src/pipeline/modelConfig.js";
import { openCheckpoint } from "../src/pipeline/openCheckpoint.js";
import { settingsFor } from "../src/pipeline/settings.js";
import { measure, poolBytes } from "../src/plan/measure.js";
import { packParams } from "../src/plan/params.js";
import { samplerPath } from "../src/sampling/sampler.js";
import { countGpuBytes } from "./speed/gpuBytes.js";

export interface LoadingResult {
  readonly adapter: string;
  readonly dtype: "f32" | "f16";
  readonly request: { readonly width: number; readonly height: number; readonly steps: number };
  /** Milliseconds from navigation: to the open device, weights on it, programs compiled, the first step done, the picture. */
  readonly at: Readonly<Record<"engine" | "loaded" | "compiled" | "firstStep" | "picture", number>>;
  /** When the page began, in milliseconds since 1970. */
  readonly origin: number;
  /** Bytes of weights in the files. */
  readonly fileBytes: number;
  readonly pipelines: number;
  readonly gpu: {
    /** What the engine tells: `LatentDiffusion.memory`. */
    readonly told: { readonly weights: number; readonly intermediates: number };
    /**
     * Found without the device, from the graphs: weights, the pool of intermediates, what plans hold alone (inputs, params,
     * what outlives a phase), and the picture on its way back.
     */
    readonly planned: Readonly<Record<"weights" | "pool" | "pinned" | "readBack", number>>;
    /** The most bytes of buffers that were alive at once, by counting what the page creates and destroys. */
    readonly most: { readonly loading: number; readonly drawing: number };
  };
}

declare global {
  var webldmLoading: Promise<LoadingResult>;
}

/** Each plan has a small buffer that stands where a call reads nothing. */
const zeroBytes = 256;

/** What the plans of one request will take, by their graphs alone. */
async function planned(checkpoint: Checkpoint, shape: DenoiseShape, settings: GraphOptions) {
  const { config } = checkpoint;
  const { images, height, width, guided } = shape;
  const pixels = height * width * latentFactor(config) ** 2;
  const { kind } = config.conditioner;
  const encodes = kind !== "none" && kind !== "embeddings";
  const graphs = [
    ...(encodes ? [contextGraph(config, guided ? 2 : 1, settings, await recorderOf(config.conditioner)).graph] : []),
    denoiseGraph(config, shape, settings).graph,
    blendGraph(config, shape, settings).graph,
    ...(config.firstStage
      ? [decoderGraph(config.firstStage, { images, height, width }, settings, decodeLatent).graph]
      : []),
  ];
  const measures = graphs.map(measure);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  return {
    weights: sum(measures.map(({ weights }) => weights)),
    pool: poolBytes(measures),
    pinned:
      sum(measures.map(({ pinned }) => pinned)) +
      sum(graphs.map((g) => packParams(g.calls).bytes.byteLength + zeroBytes)),
    readBack: 4 * images * pixels,
  };
}

async function load(): Promise<LoadingResult> {
  const query = new URLSearchParams(location.search);
  const asked = query.get("dtype");
  const buffers = countGpuBytes();
  const engine = await createEngine(asked === "f32" || asked === "f16" ? { dtype: asked } : {});
  const { adapter, dtype, device } = engine;
  const opened = performance.now();
  const configured = query.get("config");
  const checkpoint = await openCheckpoint(new URL(query.get("model")!, location.href).href, {
    ...(configured === null ? {} : { config: await (await fetch(configured)).json() }),
    tokenizer: new URL("/tokenizers", location.href).href,
    cache: query.has("cache"),
  });
  let fileBytes = 0;
  const side = query.get("side");
  const size = side === null ? checkpoint.defaults : { width: Number(side), height: Number(side) };
  const request = { width: size.width, height: size.height, steps: Number(query.get("steps")) };
  const model = await engine.load(checkpoint, { prepare: request, onProgress: ({ total }) => (fileBytes = total) });
  const loaded = performance.now();
  const loading = buffers.most();

  await model.prepare(request);
  const compiled = performance.now();
  let firstStep = 0;
  await model.progressive({
    ...request,
    every: request.steps,
    seed: 1,
    ...(model.conditioning === "prompt" ? { prompt: "a red apple" } : {}),
    ...(model.conditioning === "label" ? { label: 1 } : {}),
    onStep: async ({ step }) => {
      if (step > 1) return;
      await device.idle();
      firstStep = performance.now();
    },
  });
  const picture = performance.now();

  const factor = latentFactor(checkpoint.config);
  const path = samplerPath(checkpoint.config.scheduler, { steps: request.steps });
  const shape: DenoiseShape = {
    images: 1,
    height: request.height / factor,
    width: request.width / factor,
    guided: model.defaults.guidance !== 1 && checkpoint.config.conditioner.kind !== "none",
    guidanceRescale: false,
    contextLength: contextLength(checkpoint.config) ?? 1,
    noise: "torch",
    stepNoise: path.draws,
    thresholding: false,
    registers: path.registers,
  };
  const result: LoadingResult = {
    adapter,
    dtype,
    request,
    at: { engine: opened, loaded, compiled, firstStep, picture },
    origin: performance.timeOrigin,
    fileBytes,
    pipelines: device.pipelines.size,
    gpu: {
      told: model.memory,
      planned: await planned(checkpoint, shape, await settingsFor(device, dtype)),
      most: { loading, drawing: buffers.most() },
    },
  };
  engine.dispose();
  return result;
}

globalThis.webldmLoading = load();
