import type { StoredTensor } from "../../weights/safetensors.js";

/** One network in diffusers' form: the JSON that describes it, and its weights under diffusers' names. */
export interface Part {
  readonly config: Record<string, unknown>;
  readonly tensors: Map<string, StoredTensor>;
}

/** How the model is told what to draw. */
export type TranslatedConditioner =
  | { readonly kind: "none" }
  /** Captions through CLIP's text transformer. OpenCLIP pads with id 0, CLIP with the end token. */
  | { readonly kind: "clip"; readonly part: Part; readonly padWithZero: boolean }
  /** Captions, WordPiece, through the transformer of the paper (appendix E.2.2). */
  | { readonly kind: "bert"; readonly part: Part }
  /** Layout: `coordinates_bbox` tokens through the same transformer. */
  | { readonly kind: "boxes"; readonly part: Part }
  /** ClassEmbedder: the tensor `embedding.weight`; the config holds `n_classes` and `embed_dim`. */
  | { readonly kind: "class"; readonly part: Part }
  /** Retrieval: CLIP embeddings of this width, given from outside. */
  | { readonly kind: "embeddings"; readonly width: number };

/** What is joined to the latent's channels. */
export type TranslatedConcat =
  | { readonly kind: "none" }
  /**
   * SpatialRescaler: the tensor `channel_mapper.weight`; the config holds `n_stages`, `in_channels`, `out_channels`,
   * `multiplier` and `method`.
   */
  | { readonly kind: "segmentation"; readonly part: Part }
  /** A picture of the latent's size as it is: the low-resolution picture of super-resolution. */
  | { readonly kind: "image"; readonly channels: number }
  /** First-stage encoding of the masked picture, unscaled, and the resized mask. */
  | { readonly kind: "maskedImage" }
  /** Stable Diffusion with 9 channels: the mask and the latent of the masked picture. */
  | { readonly kind: "inpaint" }
  /** Stable Diffusion 2 with depth: one channel. */
  | { readonly kind: "depth" }
  /**
   * The x4 upscaler: a noised picture; how noised it is, 0 to `noiseLevels` - 1, goes into the class label. `scheduler`
   * is the JSON of the schedule that noises it.
   */
  | { readonly kind: "lowResolution"; readonly noiseLevels: number; readonly scheduler: Record<string, unknown> };

/** A checkpoint of the original code, as parts in diffusers' form. Nothing but a few numbers has been read yet. */
export interface Translated {
  /** "Stable Diffusion 1", "txt2img-1p4B", "celeba256", or "latent diffusion model" where nothing more is known. */
  readonly name: string;
  readonly unet: Part;
  /** Undefined for a model of pixels. */
  readonly firstStage: Part | undefined;
  /** DDIMScheduler's JSON with `"convention": "compvis"`. */
  readonly scheduler: Record<string, unknown>;
  readonly conditioner: TranslatedConditioner;
  readonly concat: TranslatedConcat;
  /** Number of class labels that are added to the time embedding; undefined where there are none. */
  readonly labels: number | undefined;
  /** Whether EMA weights were found and used. */
  readonly ema: boolean;
  /** What the scripts of the original code sample this model with; `side` is that of the training pictures. */
  readonly defaults: {
    readonly steps?: number;
    readonly guidance?: number;
    readonly eta?: number;
    readonly side?: number;
  };
  /** What was assumed. */
  readonly notes: readonly string[];
}

export interface TranslateOptions {
  /** The parsed YAML (or the same as JSON) that the original code keeps beside the checkpoint. */
  readonly config?: unknown;
  /**
   * What a file of torch.save or safetensors says beside the tensors: `modelspec.prediction_type` tells what is predicted,
   * else `global_step` tells Stable Diffusion 2's kinds apart.
   */
  readonly metadata?: ReadonlyMap<string, string>;
  /** Use the running averages of the weights where the file has them. @defaultValue true */
  readonly ema?: boolean;
  /** A first stage is at hand that takes the place of the file's own, which may then lack one. @defaultValue false */
  readonly firstStageBeside?: boolean;
}
