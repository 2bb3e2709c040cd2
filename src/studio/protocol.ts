import type { Conditioning, Defaults, Estimate, KernelTime, LayoutObject, PixelImage, SamplerName } from "../index.js";

/** What a person can do with a model. */
export const modes = ["text", "image", "inpaint", "outpaint", "layout", "upscale"] as const;
export type Mode = (typeof modes)[number];

/** The graphics adapter, as far as the browser tells of it. */
export interface AdapterFacts {
  readonly name: string;
  readonly dtype: "f32" | "f16";
  /** It computes on the CPU. */
  readonly software: boolean;
  /** Kernels can be timed. */
  readonly timestamps: boolean;
  /** Bytes. */
  readonly largestBuffer: number;
}

/** Where a model comes from. */
export type Source = string | File | ReadonlyMap<string, File> | FileSystemDirectoryHandle;

/** The model that comes with the page. */
export const embedded = "./weights/sticker/";

/** What the page knows of a model that is loaded. */
export interface ModelFacts {
  readonly family: string;
  readonly conditioning: keyof Conditioning | undefined;
  /** What is joined to the latent: decides which modes there are. */
  readonly concat: string;
  /** Of models of classes: how many. */
  readonly classes?: number;
  readonly defaults: Defaults;
  readonly sizeMultiple: number;
  /** Bytes on the device. */
  readonly memory: Memory;
}

/** Bytes on the device. */
export interface Memory {
  readonly weights: number;
  readonly intermediates: number;
}

/** What a model would take, before it is loaded. */
export interface Inspection extends Pick<Estimate, "download" | "weights" | "intermediates" | "largestBuffer"> {
  readonly family: string;
  readonly width: number;
  readonly height: number;
  /** Why this adapter cannot do it. */
  readonly problem?: string;
}

/** How far loading is. */
export interface LoadProgress {
  readonly loaded: number;
  readonly total: number;
  readonly file: string;
}

/** Pixels to add at each side. */
export type Margins = Readonly<Record<"left" | "right" | "top" | "bottom", number>>;

/** What is asked of the model. */
export interface Request {
  readonly mode: Mode;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps: number;
  readonly guidance: number;
  /** The model's own where absent. */
  readonly sampler?: SamplerName;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  /** Of models of classes. */
  readonly label?: number;
  readonly image?: PixelImage;
  /** White is painted anew. */
  readonly mask?: PixelImage;
  readonly strength?: number;
  readonly margins?: Margins;
  readonly objects?: readonly LayoutObject[];
  readonly noiseLevel?: number;
  /** What is written into the PNG beside the pixels. */
  readonly text: Readonly<Record<string, string>>;
}

/** What a step tells the page. */
export interface StepNews {
  readonly step: number;
  readonly steps: number;
  /** What the picture looks like so far, where there was time to look. */
  readonly bitmap?: ImageBitmap;
}

/** A picture that came out. */
export interface Drawn {
  readonly png: Blob;
  readonly width: number;
  readonly height: number;
  readonly milliseconds: number;
  readonly warnings: readonly string[];
  /** Steps that were done, where it was stopped before the end. */
  readonly stoppedAt?: number;
  readonly memory: Memory;
}

/** A file of the cache. */
export interface CachedFile {
  readonly address: string;
  readonly bytes: number;
}

/** What the page asks of the worker, which has the engine. One model at a time; drawing goes one after the other. */
export interface Studio {
  readonly adapter: AdapterFacts;
  inspect(source: Source): Promise<Inspection>;
  /** Puts a model in place of the one before. */
  load(source: Source, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<ModelFacts>;
  /** Undefined where it was stopped before there was anything to keep. */
  draw(request: Request, onStep: (news: StepNews) => void): Promise<Drawn | undefined>;
  /** Ends what is being drawn; `draw` gives what there is. */
  stop(): Promise<void>;
  /** Tells when the device is lost, and why. */
  lost(): Promise<string>;
  /** Times the kernels of a step of the last picture's shape. */
  profile(): Promise<KernelTime[]>;
  cached(): Promise<CachedFile[]>;
  /** Deletes what is kept of an address or a hub name. */
  forget(which: string): Promise<void>;
}
