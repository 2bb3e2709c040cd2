import type {
  DecodedImage,
  DrawingRequest,
  DrawingTask,
  Engine,
  EngineOptions,
  LatentDiffusion,
  LoadOptions,
  Picture,
} from "../index.js";
import type { ModelSource } from "../pipeline/loadOptions.js";
import type { StepInfo } from "../pipeline/request.js";

/** Which adapter the worker opens, and which worker it is. */
export interface WorkerEngineOptions extends Omit<EngineOptions, "gpu" | "adapter"> {
  /** A worker that imports `webldm/worker-entry`, or the address of one; a worker of ours when absent. */
  readonly worker?: Worker | string | URL;
}

/** As the engine's `load` takes it. Functions of a folder or source of your own are called on this thread. */
export type WorkerSource =
  | ModelSource
  | FileSystemDirectoryHandle
  | FileList
  | readonly File[]
  | ReadonlyMap<string, Blob>;

/** What the engine's `load` takes, as far as it can be sent to a worker, and the form in which pictures come back. */
export interface WorkerLoadOptions extends Omit<LoadOptions, "cache"> {
  /** As the engine's `load` takes it, but no cache of one's own: files are kept by the worker. */
  readonly cache?: boolean;
  /** How pictures come: as pixels (default), or as an `ImageBitmap` in their place. */
  readonly pictures?: "pixels" | "bitmap";
}

/** The same method; what it would return at once comes as a promise. */
type Answering<F> = F extends (...args: infer A) => infer R
  ? R extends Promise<unknown> | AsyncGenerator<unknown>
    ? F
    : [R] extends [ReturnType<LatentDiffusion["dispose"]>]
      ? F
      : (...args: A) => Promise<R>
  : F;

/** A model in the worker: what {@link LatentDiffusion} has, by the same names. */
export type WorkerModel = {
  readonly [K in keyof LatentDiffusion as K extends "programs" ? never : K]: Answering<LatentDiffusion[K]>;
};

/** With an `ImageBitmap` in place of its pixels. */
export type InBitmap<P> = Omit<P, "pixels"> & { readonly bitmap: ImageBitmap };

/** A picture and how it came about, with its pixels in a bitmap. */
export type BitmapPicture = InBitmap<Picture>;

/** What a step tells the caller. */
export interface BitmapStepInfo extends Omit<StepInfo, "preview"> {
  /** As that of {@link StepInfo}. */
  preview(): Promise<BitmapPicture>;
}

/** A picture in a bitmap, or a list of them where the request names a number of images. */
export type BitmapDrawn<Q> = Q extends { readonly images: number } ? BitmapPicture[] : BitmapPicture;

/** A step of a picture that is being drawn. */
export interface BitmapStep<Q> extends BitmapStepInfo {
  /** What the task gives: of the last step alone. */
  readonly result?: BitmapDrawn<Q>;
}

/** A request whose steps are previewed as bitmaps. */
export type BitmapRequest<Q> = Omit<Q, "onStep"> & { readonly onStep?: (info: BitmapStepInfo) => void | Promise<void> };

type Bitmaps<F> = F extends (...args: infer A) => Promise<infer R>
  ? R extends readonly Picture[]
    ? (request: BitmapRequest<A[0]>) => Promise<BitmapPicture[]>
    : R extends Picture
      ? <Q extends BitmapRequest<NonNullable<A[0]>>>(
          ...request: A extends [unknown] ? [request: Q] : [request?: Q]
        ) => Promise<BitmapDrawn<Q>>
      : R extends DecodedImage
        ? (...args: A) => Promise<InBitmap<R>>
        : F
  : F;

/** A model whose pictures come as bitmaps. */
export type BitmapModel = {
  readonly [K in keyof WorkerModel as K extends "steps" ? never : K]: Bitmaps<WorkerModel[K]>;
} & {
  /** As {@link LatentDiffusion.steps}. */
  steps<Q extends BitmapRequest<DrawingRequest<T>>, T extends DrawingTask = "textToImage">(
    request: Q,
    task?: T,
  ): AsyncGenerator<BitmapStep<Q>, BitmapDrawn<Q>, void>;
};

/** An engine in a worker. */
export interface WorkerEngine {
  /** Name of the adapter as far as the platform tells it. */
  readonly adapter: Engine["adapter"];
  /** Type in which weights and activations are stored. */
  readonly dtype: Engine["dtype"];
  /** As the engine's `load`; addresses are relative to the page. */
  load(source: WorkerSource, options: WorkerLoadOptions & { readonly pictures: "bitmap" }): Promise<BitmapModel>;
  /** As the engine's `load`; addresses are relative to the page. */
  load(source: WorkerSource, options?: WorkerLoadOptions & { readonly pictures?: "pixels" }): Promise<WorkerModel>;
  /** Frees everything on the device, the models included, and ends the worker unless it was handed in. */
  dispose(): void;
}
