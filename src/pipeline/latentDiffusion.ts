import { invariant, WebldmError } from "../core/invariant.js";
import type { TuningTable } from "../core/tuningTable.js";
import type { Device } from "../gpu/device.js";
import type { GraphOptions } from "../graph/graph.js";
import { unlessAborted } from "../weights/unlessAborted.js";
import type { Checkpoint } from "./checkpoint.js";
import { neededComponents, settingsOf, storedBytes, storeOf, uploadComponent } from "./components.js";
import { type Conditioning, checkPrompt, conditioningField, conditioningOf, tokenize } from "./conditioning.js";
import type { Run } from "./draw.js";
import type { LoadOptions } from "./loadOptions.js";
import type { ModelConfig } from "./modelConfig.js";
import type { DecodedImage, EncodedLatent, ImageInput, Picture } from "./picture.js";
import { Programs } from "./programs.js";
import { type Defaults, type Drawn, type PrepareOptions, type SamplingOptions, validate } from "./request.js";
import { settingsFor } from "./settings.js";
import type { Step } from "./steps.js";
import type { DepthToImageRequest } from "./tasks/depthToImage.js";
import type { EncodeImageOptions } from "./tasks/firstStage.js";
import {
  type ClassToImageRequest,
  fromNoise,
  type LayoutToImageRequest,
  type RetrievalToImageRequest,
  type TextToImageRequest,
  type UnconditionalRequest,
} from "./tasks/fromNoise.js";
import type { ImageToImageRequest } from "./tasks/imageToImage.js";
import type { InpaintRequest } from "./tasks/inpaint.js";
import type { InterpolateRequest } from "./tasks/interpolate.js";
import type { OutpaintRequest } from "./tasks/outpaint.js";
import type { KernelTime } from "./tasks/profileStep.js";
import type { ProgressiveRequest } from "./tasks/progressive.js";
import type { SemanticToImageRequest } from "./tasks/semanticToImage.js";
import type { UpscaleRequest } from "./tasks/upscale.js";
import type { VariationsRequest } from "./tasks/variations.js";
import { prepareUpload, type WeightBuffers } from "./upload.js";

// Pictures from noise are what most pages draw; the other tasks' code is fetched when they are first asked for.

/** Tasks that draw a picture, or a batch, in one go through the steps. */
export type DrawingTask =
  | "textToImage"
  | "classToImage"
  | "layoutToImage"
  | "retrievalToImage"
  | "unconditional"
  | "semanticToImage"
  | "imageToImage"
  | "depthToImage"
  | "inpaint"
  | "outpaint"
  | "upscale";

/** What such a task takes. */
export type DrawingRequest<T extends DrawingTask> = SamplingOptions & NonNullable<Parameters<LatentDiffusion[T]>[0]>;

/**
 * A latent diffusion model on the device. Each task is a method; calls queue up, the same request gives the same bytes on
 * the same adapter, and an aborted one rejects with the signal's reason. A task that the model is not made for is refused
 * with the reason.
 */
export class LatentDiffusion {
  /** What requests take where they name nothing. */
  readonly defaults: Defaults;
  /** Width and height must be multiples of this. */
  readonly sizeMultiple: number;
  private queue: Promise<unknown> = Promise.resolve();
  private disposed = false;

  private constructor(
    private readonly device: Device,
    /** Compiled programs, for tools that time or compare what is inside; not while requests run. */
    readonly programs: Programs,
    private readonly onDispose: (model: LatentDiffusion) => void,
  ) {
    this.defaults = programs.limits.defaults;
    this.sizeMultiple = programs.limits.sizeMultiple;
  }

  /** Streams the weights of a checkpoint to the device. */
  static async load(
    device: Device,
    dtype: "f32" | "f16",
    checkpoint: Checkpoint,
    options: Pick<LoadOptions, "onProgress" | "signal" | "prepare"> & Pick<GraphOptions, "forms"> = {},
    onDispose: (model: LatentDiffusion) => void = () => undefined,
  ): Promise<LatentDiffusion> {
    device.check();
    const { onProgress, signal, prepare, forms } = options;
    const settings = { ...(await settingsFor(device, dtype)), forms };
    prepareUpload(
      device,
      dtype,
      Object.values(checkpoint.stored).flatMap((tensors) => [...tensors.values()]),
    );
    if (prepare) {
      import("./tasks/compileAhead.js")
        .then(({ compileAhead }) => compileAhead(device, checkpoint, settings, prepare))
        .catch(() => undefined); // the first request that needs it says why
    }
    const needed = neededComponents(checkpoint);
    let total = 0;
    for (const component of needed) total += await storedBytes(component, checkpoint, settings);
    let loaded = 0;
    const weights = new Map<(typeof needed)[number], WeightBuffers>();
    try {
      for (const component of needed) {
        const onBytes = (bytes: number) => {
          loaded += bytes;
          onProgress?.({ loaded, total, file: storeOf[component] });
        };
        const own = settingsOf(component, checkpoint.config, settings);
        const upload = { onBytes, ...(signal ? { signal } : {}) };
        weights.set(component, await uploadComponent(device, checkpoint, component, own, upload));
      }
      await device.idle();
    } catch (error) {
      for (const part of weights.values()) part.dispose();
      throw error;
    }
    return new LatentDiffusion(device, new Programs(device, settings, checkpoint, weights), onDispose);
  }

  /** Configurations of the networks and the sampler. */
  get config(): ModelConfig {
    return this.programs.config;
  }

  /** Which forms of the kernels were measured to be the fastest, where loading was asked for tuning, or given a table. */
  get tuning(): TuningTable | undefined {
    return this.programs.settings.forms?.table;
  }

  /** What the model is told to draw from: "prompt", "label", "objects", "embeddings"; undefined for unconditional models. */
  get conditioning(): keyof Conditioning | undefined {
    return conditioningField(this.config);
  }

  /** Pictures from a text. */
  textToImage<R extends TextToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("text to image", request, async (run, request) => {
      if (!request.context) checkPrompt(request.prompt, request.negativePrompt);
      return fromNoise(this.programs, run, request, conditioningOf(request));
    });
  }

  /** Pictures of a class. */
  classToImage<R extends ClassToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("class to image", request, (run, request) =>
      fromNoise(this.programs, run, request, { label: request.label }),
    );
  }

  /** Pictures of objects at given places. */
  layoutToImage<R extends LayoutToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("layout to image", request, (run, request) =>
      fromNoise(this.programs, run, request, conditioningOf(request)),
    );
  }

  /** Pictures like those whose CLIP embeddings are given. */
  retrievalToImage<R extends RetrievalToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("retrieval to image", request, (run, request) =>
      fromNoise(this.programs, run, request, { embeddings: request.embeddings }),
    );
  }

  /** Pictures of what the model was trained on. */
  unconditional<R extends UnconditionalRequest>(request: R = {} as R): Promise<Drawn<R>> {
    return this.task("unconditional", request, (run, request) => fromNoise(this.programs, run, request, {}));
  }

  /** Pictures whose parts lie where a segmentation map says. */
  semanticToImage<R extends SemanticToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("semantic to image", request, async (run, request) =>
      (await import("./tasks/semanticToImage.js")).semanticToImage(this.programs, run, request),
    );
  }

  /** Pictures drawn anew from a noised one. */
  imageToImage<R extends ImageToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("image to image", request, async (run, request) =>
      (await import("./tasks/imageToImage.js")).imageToImage(this.programs, run, request),
    );
  }

  /** Pictures drawn anew that keep the depth of another. */
  depthToImage<R extends DepthToImageRequest>(request: R): Promise<Drawn<R>> {
    return this.task("depth to image", request, async (run, request) =>
      (await import("./tasks/depthToImage.js")).depthToImage(this.programs, run, request),
    );
  }

  /** Pictures with a part painted anew. */
  inpaint<R extends InpaintRequest>(request: R): Promise<Drawn<R>> {
    return this.task("inpainting", request, async (run, request) =>
      (await import("./tasks/inpaint.js")).inpaint(this.programs, run, request),
    );
  }

  /** Pictures continued beyond their borders. */
  outpaint<R extends OutpaintRequest>(request: R): Promise<Drawn<R>> {
    return this.task("outpainting", request, async (run, request) =>
      (await import("./tasks/outpaint.js")).outpaint(this.programs, run, request),
    );
  }

  /** Pictures with four times the pixels along each side. */
  upscale<R extends UpscaleRequest>(request: R): Promise<Drawn<R>> {
    return this.task("super-resolution", request, async (run, request) =>
      (await import("./tasks/upscale.js")).upscale(this.programs, run, request),
    );
  }

  /** Pictures on the way from one latent and conditioning to another. */
  interpolate(request: InterpolateRequest): Promise<Picture[]> {
    return this.list("interpolation", request, async (run, request) =>
      (await import("./tasks/interpolate.js")).interpolate(this.programs, run, request),
    );
  }

  /** Pictures near that of a seed. */
  variations(request: VariationsRequest): Promise<Picture[]> {
    return this.list("variation", request, async (run, request) =>
      (await import("./tasks/variations.js")).variations(this.programs, run, request),
    );
  }

  /** What the steps predict the finished picture to be, and in the end the picture itself. */
  progressive(request: ProgressiveRequest): Promise<Picture[]> {
    return this.list("progressive row", request, async (run, request) =>
      (await import("./tasks/progressive.js")).progressive(this.programs, run, request),
    );
  }

  /**
   * A task step by step, of text to image unless another is named: `for await (const step of model.steps({ prompt }))`. Each
   * step can be previewed; the last comes with the `result`, which is what iterating returns as well. The task waits while
   * the caller is busy, and is aborted where the loop is left.
   */
  async *steps<R extends DrawingRequest<T>, T extends DrawingTask = "textToImage">(
    request: R,
    task: T = "textToImage" as T,
  ): AsyncGenerator<Step<R>, Drawn<R>, void> {
    const draw = this[task] as unknown as (given: R) => Promise<Drawn<R>>;
    return yield* (await import("./steps.js")).stepsOf((given: R) => draw.call(this, given), request);
  }

  /** The latent of a picture: the mean of its code, or with a seed a sample. */
  encode(image: ImageInput, options: EncodeImageOptions = {}): Promise<EncodedLatent> {
    return this.enqueue(async () =>
      (await import("./tasks/firstStage.js")).encodePicture(this.programs, image, options),
    );
  }

  /** The picture of a latent. */
  decode(latent: EncodedLatent, options: Pick<EncodeImageOptions, "memoryBudget"> = {}): Promise<DecodedImage> {
    return this.enqueue(async () =>
      (await import("./tasks/firstStage.js")).decodeLatents(this.programs, latent, options),
    );
  }

  /** Compiles the programs for a picture size, with guidance or without, ahead of the first request. */
  prepare(options: PrepareOptions = {}): Promise<void> {
    return this.enqueue(async () => (await import("./tasks/prepare.js")).prepare(this.programs, options));
  }

  /** Times each kernel of a denoising step for a picture of a size, by running one. Needs timestamp queries. */
  profile(options: PrepareOptions = {}): Promise<KernelTime[]> {
    return this.enqueue(async () => (await import("./tasks/profileStep.js")).profileStep(this.programs, options));
  }

  /** Bytes on the device: weights, and intermediates shared by all programs. */
  get memory(): { readonly weights: number; readonly intermediates: number } {
    return this.programs.memory;
  }

  /** Token ids of a prompt as the text encoder gets them, and a warning where it did not fit. */
  tokenize(prompt: string): { ids: number[]; warning?: string } {
    return tokenize(this.programs, prompt);
  }

  /** Frees everything the model holds on the device; a request that is running is refused at its next step first. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    void this.queue.then(() => {
      this.programs.dispose();
      this.onDispose(this);
    });
  }

  private async task<R extends SamplingOptions>(
    task: string,
    request: R,
    work: (run: Run, request: R) => Promise<Picture[]>,
  ): Promise<Drawn<R>> {
    const single = request?.images === undefined;
    const pictures = await this.list(task, request, work);
    return (single ? pictures[0] : pictures) as Drawn<R>;
  }

  private list<R extends SamplingOptions>(
    task: string,
    given: R,
    work: (run: Run, request: R) => Promise<Picture[]>,
  ): Promise<Picture[]> {
    const started = performance.now();
    const request = { ...given }; // until its turn comes, the caller may change the object for the next request
    return this.enqueue(async () => {
      invariant(typeof given === "object" && given !== null, `${task}: expected a request, got ${given}`);
      const { signal, onStep } = request;
      const check = () => {
        signal?.throwIfAborted();
        this.refuseIfDisposed();
      };
      check();
      const settings = validate(request, this.programs.limits);
      const options = { ...(onStep ? { onStep } : {}), ...(signal ? { signal } : {}) };
      return work({ task, settings, options, started, check }, request);
    }, request.signal);
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
        if (error instanceof WebldmError && error.message.startsWith("GPU:")) this.programs.drop();
        throw error;
      }
    });
    this.queue = run.catch(() => undefined);
    return unlessAborted(run, signal);
  }

  private refuseIfDisposed(): void {
    invariant(!this.disposed, "the model was disposed");
  }
}
