import { invariant, WebldmError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import type { Graph, GraphOptions } from "../graph/graph.js";
import { downsampling, parseAutoencoderConfig } from "../models/autoencoder.js";
import { parseClipConfig } from "../models/clip.js";
import { parseUNetConfig } from "../models/unetConfig.js";
import { parseSchedulerConfig } from "../sampling/schedule.js";
import { ClipTokenizer, type TokenizerOptions } from "../text/clipTokenizer.js";
import { openComponent } from "../weights/checkpoint.js";
import { type Folder, readJson, readText } from "../weights/folder.js";
import type { StoredTensor } from "../weights/safetensors.js";
import { decodeGraph, denoiseGraph, type ModelConfig, type Shape, textGraph } from "./graphs.js";
import { modernNames } from "./names.js";
import type { Defaults } from "./request.js";
import { compareWeights } from "./upload.js";

/** The networks of a text-to-image checkpoint, by the names of their folders. */
export const components = ["text_encoder", "unet", "vae"] as const;
export type Component = (typeof components)[number];

/** What a model folder holds, read and found consistent; the weights themselves are still where they were. */
export interface Checkpoint {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: ClipTokenizer;
  readonly defaults: Defaults;
  /** Width and height of pictures must be multiples of this. */
  readonly sizeMultiple: number;
  readonly stored: Readonly<Record<Component, ReadonlyMap<string, StoredTensor>>>;
  /** What pictures of this model should be accompanied by. */
  readonly notes: readonly string[];
}

/** Pictures are only decoded: the encoder's half of the autoencoder stays where it is. */
export const unused = (component: Component) => (name: string) =>
  component === "vae" && /^(encoder|quant_conv)\./.test(name);

/** The programs that say which weights are needed. Neither names nor shapes of weights depend on the picture's size. */
export function weightGraphs(config: ModelConfig, settings: GraphOptions): Record<Component, Graph> {
  const side = config.unet.sampleSize * downsampling(config.vae);
  const shape: Shape = { width: side, height: side, images: 1, guided: true, stepNoise: "none" };
  return {
    text_encoder: textGraph(config, 2, settings).graph,
    unet: denoiseGraph(config, shape, settings).graph,
    vae: decodeGraph(config, shape, settings).graph,
  };
}

/**
 * Reads configurations, vocabulary and the headers of the weights of a folder in diffusers layout, and compares them;
 * needs no graphics device.
 * @throws WebldmError that names the file, and the field or tensor, that is missing or does not fit
 */
export async function openCheckpoint(folder: Folder, signal?: AbortSignal): Promise<Checkpoint> {
  signal?.throwIfAborted();
  const json = (path: string) => required(folder, path, readJson<Record<string, unknown>>(folder, path));
  const className = (await json("model_index.json"))["_class_name"];
  invariant(
    className === "StableDiffusionPipeline",
    `${folder.name}: model_index.json names ${String(className)}, expected StableDiffusionPipeline`,
  );
  const [text, unet, vae, scheduler, tokenizer, recommended] = await Promise.all([
    json("text_encoder/config.json").then((value) => parseClipConfig(value)),
    json("unet/config.json").then((value) => parseUNetConfig(value)),
    json("vae/config.json").then((value) => parseAutoencoderConfig(value)),
    json("scheduler/scheduler_config.json").then((value) => parseSchedulerConfig(value)),
    readTokenizer(folder, "tokenizer"),
    readJson(folder, "webldm.json").then(parseRecommended),
  ]);
  invariant(
    unet.contextWidth === text.width,
    `${folder.name}: the UNet expects a context of ${unet.contextWidth} channels, the text encoder gives ${text.width}`,
  );
  invariant(
    unet.inChannels === vae.latentChannels && unet.outChannels === vae.latentChannels,
    `${folder.name}: the UNet takes ${unet.inChannels} and gives ${unet.outChannels} channels, the latent has ${vae.latentChannels}`,
  );
  signal?.throwIfAborted();
  const [textStored, unetStored, vaeStored] = await Promise.all([
    openComponent(folder, "text_encoder"),
    openComponent(folder, "unet"),
    openComponent(folder, "vae"),
  ]);
  const renamed = modernNames(vaeStored);
  const textPrefix = [...textStored.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
  // Latents are not confined to a range: like the reference's pipeline, this one never clips them.
  const { clipRange: _clip, ...unclipped } = scheduler;
  const config: ModelConfig = { text, unet, vae, scheduler: unclipped, textPrefix };
  const stored = { text_encoder: textStored, unet: unetStored, vae: renamed };
  const graphs = weightGraphs(config, { dtype: "f32", maxBinding: Number.POSITIVE_INFINITY });
  for (const component of components) {
    compareWeights(graphs[component].requests(), stored[component], { component, ignore: unused(component) });
  }
  const sizeMultiple = downsampling(vae);
  const side = unet.sampleSize * sizeMultiple;
  const unsupported = scheduler.name === "DDIMScheduler" ? [] : [scheduler.name];
  return {
    name: folder.name,
    config,
    tokenizer,
    defaults: { width: side, height: side, steps: 20, guidance: 7.5, ...recommended },
    sizeMultiple,
    stored,
    notes: unsupported.map((name) => `the checkpoint's ${name} is not supported yet; sampled with DDIM`),
  };
}

/** Defaults that a model folder may state in an optional file of ours, `webldm.json`. */
function parseRecommended(json: unknown): Partial<Pick<Defaults, "steps" | "guidance">> {
  if (json === undefined) return {};
  const fields = new Fields(json, "webldm.json");
  return { steps: fields.count("steps", 20), guidance: fields.number("guidance", 7.5) };
}

async function required<T>(folder: Folder, path: string, reading: Promise<T | undefined>): Promise<T> {
  const value = await reading;
  if (value === undefined)
    throw new WebldmError(`${folder.name}: has no ${path}; expected a model in diffusers layout`);
  return value;
}

/** The tokenizer of a diffusers folder. */
export async function readTokenizer(folder: Folder, path: string): Promise<ClipTokenizer> {
  const [vocabulary, merges, config, special] = await Promise.all([
    required(folder, `${path}/vocab.json`, readText(folder, `${path}/vocab.json`)),
    required(folder, `${path}/merges.txt`, readText(folder, `${path}/merges.txt`)),
    readJson<TokenizerOptions>(folder, `${path}/tokenizer_config.json`),
    readJson<TokenizerOptions>(folder, `${path}/special_tokens_map.json`),
  ]);
  return ClipTokenizer.fromFiles(vocabulary, merges, { ...config, ...special });
}
