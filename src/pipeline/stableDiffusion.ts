import { invariant, WebldmError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import type { Device } from "../gpu/device.js";
import type { Graph, GraphOptions } from "../graph/graph.js";
import { downsampling, parseAutoencoderConfig } from "../models/autoencoder.js";
import { parseClipConfig } from "../models/clip.js";
import { parseUNetConfig } from "../models/unetConfig.js";
import { graphOptions } from "../plan/options.js";
import { SlotPool } from "../plan/pool.js";
import { ddimSteps } from "../sampling/ddim.js";
import { parseSchedulerConfig } from "../sampling/schedule.js";
import { ClipTokenizer, type TokenizerOptions } from "../text/clipTokenizer.js";
import { openComponent } from "../weights/checkpoint.js";
import { type Folder, readJson, readText } from "../weights/folder.js";
import type { StoredTensor } from "../weights/safetensors.js";
import { decodeGraph, denoiseGraph, latentShape, type ModelConfig, type Shape, textGraph } from "./graphs.js";
import type { LoadOptions } from "./loadOptions.js";
import type { Picture } from "./picture.js";
import { type Defaults, type Settings, type TextToImageRequest, toChannelsLast, validate } from "./request.js";
import { type ModelWeights, TextToImagePlans } from "./textToImage.js";
import { uploadWeights, type WeightBuffers } from "./upload.js";

/** Sets of compiled plans that are kept for requests of other shapes. */
const keptPlans = 3;

/** A text-to-image checkpoint of the Stable Diffusion family on the device. */
export class StableDiffusion {
  readonly defaults: Defaults;
  /** Width and height must be multiples of this. */
  readonly sizeMultiple: number;
  private readonly pool: SlotPool;
  private readonly compiled = new Map<string, TextToImagePlans>();
  private queue: Promise<unknown> = Promise.resolve();
  private disposed = false;

  private constructor(
    private readonly device: Device,
    private readonly graphSettings: GraphOptions,
    readonly config: ModelConfig,
    private readonly tokenizer: ClipTokenizer,
    private readonly weights: ModelWeights,
    private readonly notes: readonly string[],
    recommended: Recommended,
  ) {
    this.pool = new SlotPool(device);
    this.sizeMultiple = downsampling(config.vae);
    const side = config.unet.sampleSize * this.sizeMultiple;
    this.defaults = { width: side, height: side, steps: 20, guidance: 7.5, ...recommended };
  }

  /** Reads configurations and headers, then streams the weights. @throws WebldmError that names what does not fit. */
  static async load(
    device: Device,
    dtype: "f32" | "f16",
    folder: Folder,
    options: LoadOptions = {},
  ): Promise<StableDiffusion> {
    const { onProgress, signal } = options;
    signal?.throwIfAborted();
    const index = await required(
      folder,
      "model_index.json",
      readJson<Record<string, unknown>>(folder, "model_index.json"),
    );
    const className = index["_class_name"];
    invariant(
      className === "StableDiffusionPipeline",
      `${folder.name}: model_index.json names ${String(className)}, expected StableDiffusionPipeline`,
    );
    const json = (path: string) => required(folder, path, readJson(folder, path));
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
    const [textStored, unetStored, vaeStored] = await Promise.all([
      openComponent(folder, "text_encoder"),
      openComponent(folder, "unet"),
      openComponent(folder, "vae"),
    ]);
    const textPrefix = [...textStored.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
    const config: ModelConfig = { text, unet, vae, scheduler, textPrefix };
    const notes =
      scheduler.name === "DDIMScheduler"
        ? []
        : [`the checkpoint's ${scheduler.name} is not supported yet; sampled with DDIM`];

    // Which weights are needed follows from the programs; their shapes do not depend on the picture's size.
    const settings = graphOptions(device, dtype);
    const side = unet.sampleSize * downsampling(vae);
    const shape: Shape = { width: side, height: side, images: 1, guided: true, noisy: false };
    const components: [string, Graph, Stored][] = [
      ["text_encoder", textGraph(config, 2, settings).graph, textStored],
      ["unet", denoiseGraph(config, shape, settings).graph, unetStored],
      ["vae", decodeGraph(config, shape, settings).graph, vaeStored],
    ];
    const total = components.reduce((sum, [, graph, stored]) => sum + storedBytes(graph, stored), 0);
    let loaded = 0;
    const done: WeightBuffers[] = [];
    try {
      for (const [component, graph, stored] of components) {
        const onBytes = (bytes: number) => {
          loaded += bytes;
          onProgress?.({ loaded, total, file: component });
        };
        // Pictures are only decoded here: the encoder's half of the autoencoder stays on disk.
        const ignore = (name: string) => component === "vae" && /^(encoder|quant_conv)\./.test(name);
        done.push(
          await uploadWeights(device, graph.requests(), stored, {
            component,
            ignore,
            onBytes,
            ...(signal ? { signal } : {}),
          }),
        );
      }
    } catch (error) {
      for (const weights of done) weights.dispose();
      throw error;
    }
    const weights = { text: done[0]!, unet: done[1]!, vae: done[2]! };
    return new StableDiffusion(device, settings, config, tokenizer, weights, notes, recommended);
  }

  /**
   * Draws a picture from a prompt. The same request gives the same bytes on the same adapter. Calls queue up; an aborted
   * one rejects with the signal's reason.
   */
  textToImage(request: TextToImageRequest): Promise<Picture> {
    const started = performance.now();
    const run = this.queue.then(() => this.draw(request, started));
    this.queue = run.catch(() => undefined);
    return run;
  }

  /** Compiles the programs for a picture size ahead of the first request. */
  async prepare(
    size: { readonly width?: number; readonly height?: number; readonly guided?: boolean } = {},
  ): Promise<void> {
    const { width = this.defaults.width, height = this.defaults.height, guided = true } = size;
    await this.plansFor({ width, height, images: 1, guided, noisy: false });
  }

  /** The compiled programs for a shape, for tools that time or compare what is inside. */
  async plansFor(shape: Shape): Promise<TextToImagePlans> {
    invariant(!this.disposed, "the model was disposed");
    const key = JSON.stringify(shape);
    let plans = this.compiled.get(key);
    if (plans) {
      this.compiled.delete(key); // moves to the end: the least recently used is first
    } else {
      for (const [old, unused] of this.compiled) {
        if (this.compiled.size < keptPlans) break;
        unused.dispose();
        this.compiled.delete(old);
      }
      plans = await TextToImagePlans.compile(
        this.device,
        this.config,
        this.weights,
        this.pool,
        shape,
        this.graphSettings,
      );
    }
    this.compiled.set(key, plans);
    return plans;
  }

  /** Bytes on the device: weights, and intermediates shared by all programs. */
  get memory(): { readonly weights: number; readonly intermediates: number } {
    const weights = Object.values(this.weights).reduce((sum, { bytes }: WeightBuffers) => sum + bytes, 0);
    return { weights, intermediates: this.pool.bytes };
  }

  /** Token ids of a prompt as the text encoder gets them, and a warning where it did not fit. */
  tokenize(prompt: string): { ids: number[]; warning?: string } {
    const { ids, truncated, tokens } = this.tokenizer.encodePadded(prompt, this.config.text.positions);
    if (!truncated) return { ids };
    const window = this.config.text.positions - 2;
    return { ids, warning: `the prompt has ${tokens} tokens, the model reads ${window}; cut off: "${truncated}"` };
  }

  /** Frees everything the model holds on the device. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    for (const plans of this.compiled.values()) plans.dispose();
    this.compiled.clear();
    this.pool.dispose();
    for (const weights of Object.values(this.weights)) weights.dispose();
  }

  private async draw(request: TextToImageRequest, started: number): Promise<Picture> {
    invariant(!this.disposed, "the model was disposed");
    const { signal, onStep, latents } = request;
    signal?.throwIfAborted();
    const settings = validate(request, this.defaults, this.sizeMultiple, this.config.scheduler.trainSteps);
    const { steps, guidance, seed, eta, width, height } = settings;
    const path = ddimSteps(this.config.scheduler, steps, eta);
    const shape: Shape = { width, height, images: 1, guided: guidance !== 1, noisy: eta > 0 };
    const start = latents && toChannelsLast(latents, latentShape(this.config, shape));
    const warnings = [...this.notes];
    const prompts = shape.guided ? [settings.negativePrompt, settings.prompt] : [settings.prompt];
    const ids = prompts.map((prompt) => {
      const { ids: padded, warning } = this.tokenize(prompt);
      if (warning) warnings.push(warning);
      return padded;
    });
    const plans = await this.plansFor(shape);
    signal?.throwIfAborted();
    plans.encodePrompts(ids);
    if (start) plans.writeLatent(start);
    else plans.seedLatent(seed);

    const picture = (pixels: Uint8Array) => toPicture(settings, pixels, warnings, performance.now() - started);
    let behind = this.device.idle(); // the CPU stays at most one step ahead of the device
    for (const [i, step] of path.entries()) {
      signal?.throwIfAborted();
      plans.step(step, guidance, seed, i);
      const submitted = this.device.idle();
      submitted.catch(() => undefined); // heard of when its turn comes
      await behind;
      behind = submitted;
      await onStep?.({
        step: i + 1,
        steps,
        timestep: step.timestep,
        preview: async () => picture(await plans.decode("predicted")),
      });
    }
    await behind;
    signal?.throwIfAborted();
    const pixels = await plans.decode("latent");
    return picture(pixels);
  }
}

type Stored = ReadonlyMap<string, StoredTensor>;

/** Defaults that a model folder may state in an optional file of ours, `webldm.json`. */
type Recommended = Partial<Pick<Defaults, "steps" | "guidance">>;

function parseRecommended(json: unknown): Recommended {
  if (json === undefined) return {};
  const fields = new Fields(json, "webldm.json");
  return { steps: fields.count("steps", 20), guidance: fields.number("guidance", 7.5) };
}

function toPicture(settings: Settings, pixels: Uint8Array, warnings: readonly string[], milliseconds: number): Picture {
  const rgba = new Uint8ClampedArray(pixels);
  return { ...settings, pixels: rgba, warnings: [...warnings], milliseconds };
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

function storedBytes(graph: Graph, stored: Stored): number {
  return graph.requests().reduce((sum, { name }) => {
    const tensor = stored.get(name);
    return sum + (tensor ? tensor.end - tensor.begin : 0);
  }, 0);
}
