import { invariant, WebldmError } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import { TorchGenerator } from "../core/torchRandom.js";
import type { Device } from "../gpu/device.js";
import type { Graph, GraphOptions } from "../graph/graph.js";
import { graphOptions } from "../plan/options.js";
import { SlotPool } from "../plan/pool.js";
import { ddimSteps } from "../sampling/ddim.js";
import type { StoredTensor } from "../weights/safetensors.js";
import { type Checkpoint, type Component, components, unused, weightGraphs } from "./checkpoint.js";
import { latentShape, type ModelConfig, type Shape } from "./graphs.js";
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
    private readonly checkpoint: Omit<Checkpoint, "stored">,
    private readonly weights: ModelWeights,
    private readonly onDispose: (model: StableDiffusion) => void,
  ) {
    this.pool = new SlotPool(device);
    this.defaults = checkpoint.defaults;
    this.sizeMultiple = checkpoint.sizeMultiple;
  }

  /** Streams the weights of a checkpoint to the device. */
  static async load(
    device: Device,
    dtype: "f32" | "f16",
    checkpoint: Checkpoint,
    options: LoadOptions = {},
    onDispose: (model: StableDiffusion) => void = () => undefined,
  ): Promise<StableDiffusion> {
    device.check();
    const { onProgress, signal } = options;
    const settings = graphOptions(device, dtype);
    const graphs = weightGraphs(checkpoint.config, { ...settings, maxBinding: Number.POSITIVE_INFINITY });
    const total = components.reduce((sum, name) => sum + storedBytes(graphs[name], checkpoint.stored[name]), 0);
    let loaded = 0;
    const done = new Map<Component, WeightBuffers>();
    try {
      for (const component of components) {
        const onBytes = (bytes: number) => {
          loaded += bytes;
          onProgress?.({ loaded, total, file: component });
        };
        const upload = { component, ignore: unused(component), onBytes, ...(signal ? { signal } : {}) };
        const requests = graphs[component].requests();
        done.set(component, await uploadWeights(device, requests, checkpoint.stored[component], upload));
      }
    } catch (error) {
      for (const weights of done.values()) weights.dispose();
      throw error;
    }
    const weights = { text: done.get("text_encoder")!, unet: done.get("unet")!, vae: done.get("vae")! };
    const { stored: _files, ...rest } = checkpoint; // nothing of the files is held on to
    return new StableDiffusion(device, settings, rest, weights, onDispose);
  }

  /** Configurations of the networks and the sampler. */
  get config(): ModelConfig {
    return this.checkpoint.config;
  }

  /**
   * Draws a picture from a prompt. The same request gives the same bytes on the same adapter. Calls queue up; an aborted
   * one rejects with the signal's reason.
   */
  textToImage(request: TextToImageRequest): Promise<Picture> {
    const started = performance.now();
    return this.enqueue(() => this.draw(request, started), request?.signal);
  }

  /** Compiles the programs for a picture size, with guidance or without, ahead of the first request. */
  prepare(size: { readonly width?: number; readonly height?: number; readonly guided?: boolean } = {}): Promise<void> {
    return this.enqueue(async () => {
      const { guided = this.defaults.guidance !== 1, ...sides } = size;
      const { width, height } = validate({ prompt: "any", ...sides }, this.checkpoint);
      await this.plansFor({ width, height, images: 1, guided, stepNoise: "none" });
    });
  }

  /** The compiled programs for a shape, for tools that time or compare what is inside; not while requests run. */
  async plansFor(shape: Shape): Promise<TextToImagePlans> {
    this.refuseIfDisposed();
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
    const { ids, truncated, tokens } = this.checkpoint.tokenizer.encodePadded(prompt, this.config.text.positions);
    if (!truncated) return { ids };
    const window = this.config.text.positions - 2;
    return { ids, warning: `the prompt has ${tokens} tokens, the model reads ${window}; cut off: "${truncated}"` };
  }

  /** Frees everything the model holds on the device; a request that is running is refused at its next step first. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    void this.queue.then(() => {
      this.dropPrograms();
      this.pool.dispose();
      for (const weights of Object.values(this.weights)) weights.dispose();
      this.onDispose(this);
    });
  }

  /** Runs tasks one after the other. A signal ends the wait too, not only the work. */
  private enqueue<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const run = this.queue.then(async () => {
      this.refuseIfDisposed();
      this.device.check();
      try {
        return await task();
      } catch (error) {
        // After an error of the device, such as memory that ran out, none of the programs' buffers can be trusted.
        if (error instanceof WebldmError && error.message.startsWith("GPU:")) this.dropPrograms();
        throw error;
      }
    });
    this.queue = run.catch(() => undefined);
    if (!signal) return run;
    return new Promise((resolve, reject) => {
      const stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      run.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
    });
  }

  private refuseIfDisposed(): void {
    invariant(!this.disposed, "the model was disposed");
  }

  private dropPrograms(): void {
    for (const plans of this.compiled.values()) plans.dispose();
    this.compiled.clear();
    this.pool.reset();
  }

  private async draw(request: TextToImageRequest, started: number): Promise<Picture> {
    invariant(typeof request === "object" && request !== null, `textToImage: expected a request, got ${request}`);
    const { signal, onStep, latents } = request;
    signal?.throwIfAborted();
    const settings = validate(request, this.checkpoint);
    const { steps, guidance, seed, eta, noise, width, height } = settings;
    const path = ddimSteps(this.config.scheduler, steps, eta);
    const generator = noise === "torch" ? new TorchGenerator(seed) : undefined;
    const stepNoise = eta === 0 ? "none" : generator ? "host" : "device";
    const shape: Shape = { width, height, images: 1, guided: guidance !== 1, stepNoise };
    const latent = latentShape(this.config, shape);
    const draw = (from: TorchGenerator) => toChannelsLast(from.randn(sizeOf(latent)), latent);
    const start = latents ? toChannelsLast(latents, latent) : generator && draw(generator);
    const warnings = [...this.checkpoint.notes];
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
    let current = 0; // the step whose preview may be asked for
    for (const [i, step] of path.entries()) {
      signal?.throwIfAborted();
      this.refuseIfDisposed();
      // The host draws for every step in turn, as the reference does.
      plans.step(step, guidance, generator && eta > 0 ? { values: draw(generator) } : { seed, index: i });
      const submitted = this.device.idle();
      submitted.catch(() => undefined); // heard of when its turn comes
      await behind;
      behind = submitted;
      current = i + 1;
      await onStep?.({
        step: i + 1,
        steps,
        timestep: step.timestep,
        preview: async () => {
          invariant(current === i + 1, `preview: step ${i + 1} is over; ask from within onStep`);
          return picture(await plans.decode("predicted"));
        },
      });
      current = 0;
    }
    current = 0;
    await behind;
    signal?.throwIfAborted();
    this.refuseIfDisposed();
    const pixels = await plans.decode("latent");
    return picture(pixels);
  }
}

function toPicture(settings: Settings, pixels: Uint8Array, warnings: readonly string[], milliseconds: number): Picture {
  const rgba = new Uint8ClampedArray(pixels);
  return { ...settings, pixels: rgba, warnings: [...warnings], milliseconds };
}

function storedBytes(graph: Graph, stored: ReadonlyMap<string, StoredTensor>): number {
  return graph.requests().reduce((sum, { name }) => {
    const tensor = stored.get(name);
    return sum + (tensor ? tensor.end - tensor.begin : 0);
  }, 0);
}
