import { type AutoencoderConfig, downsampling } from "../models/autoencoder.js";
import type { BertConfig } from "../models/bert.js";
import type { ClipConfig } from "../models/clip.js";
import type { SpatialRescalerConfig } from "../models/spatialRescaler.js";
import type { UNetConfig } from "../models/unetConfig.js";
import type { SchedulerConfig } from "../sampling/schedule.js";

/** What turns a request into the context that the denoiser attends to (paper §3.3, table 17). */
export type Conditioner =
  | { readonly kind: "none" }
  | {
      readonly kind: "clip";
      readonly config: ClipConfig;
      /** Where the text model's names begin: "text_model", or "" as the newest files have it. */
      readonly prefix: string;
      /** Fills the window after the end token; the end token itself where absent. */
      readonly padding?: number;
    }
  | { readonly kind: "bert"; readonly config: BertConfig }
  /** Tokens of a layout through the same transformer as captions. */
  | { readonly kind: "boxes"; readonly config: BertConfig }
  /** A learned vector a class; the last class stands for "any" in classifier-free guidance. */
  | { readonly kind: "class"; readonly classes: number; readonly width: number }
  /** CLIP embeddings of retrieved pictures or of a text, given from outside. */
  | { readonly kind: "embeddings"; readonly width: number };

/** What is joined to the latent's channels. */
export type ConcatCondition =
  | { readonly kind: "none" }
  | { readonly kind: "segmentation"; readonly config: SpatialRescalerConfig }
  | { readonly kind: "image"; readonly channels: number }
  | { readonly kind: "maskedImage" }
  | { readonly kind: "inpaint" }
  | { readonly kind: "depth" }
  | {
      readonly kind: "lowResolution";
      /** Noise levels that the class label can name. */
      readonly noiseLevels: number;
      /** How the low-resolution picture is noised. */
      readonly scheduler: SchedulerConfig;
    };

/** The networks and the sampler of one checkpoint. */
export interface ModelConfig {
  /** The denoiser. */
  readonly unet: UNetConfig;
  /** Undefined where the denoiser works on pixels. */
  readonly firstStage: AutoencoderConfig | undefined;
  /** Noise schedule, what the denoiser predicts, and the sampler. */
  readonly scheduler: SchedulerConfig;
  /** What makes the context for cross-attention. */
  readonly conditioner: Conditioner;
  /** What is joined to the latent. */
  readonly concat: ConcatCondition;
}

/** Pixels per latent pixel along each side. */
export const latentFactor = ({ firstStage }: ModelConfig): number => (firstStage ? downsampling(firstStage) : 1);

/** Channels of the latent that is denoised. */
export const latentChannels = ({ unet }: ModelConfig): number => unet.outChannels;

/** Channels of each part that is joined to the latent, in the order in which the denoiser takes them. */
export function concatChannels(config: ModelConfig): readonly number[] {
  const { concat } = config;
  switch (concat.kind) {
    case "none":
      return [];
    case "segmentation":
      return [concat.config.outChannels ?? concat.config.inChannels];
    case "image":
      return [concat.channels];
    case "maskedImage":
      return [latentChannels(config), 1];
    case "inpaint":
      return [1, latentChannels(config)];
    case "depth":
      return [1];
    case "lowResolution":
      return [3];
  }
}

/** Rows of the context a request makes: tokens, boxes or classes. Undefined where the request decides. */
export function contextLength({ conditioner }: ModelConfig): number | undefined {
  switch (conditioner.kind) {
    case "none":
      return 0;
    case "clip":
    case "bert":
    case "boxes":
      return conditioner.config.positions;
    case "class":
      return 1;
    case "embeddings":
      return undefined;
  }
}
