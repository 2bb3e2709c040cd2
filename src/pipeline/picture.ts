import type { PictureSource } from "../pictures/pictureSource.js";
import type { PixelImage } from "../pictures/pixelImage.js";
import type { SamplerName } from "../sampling/sampler.js";

export type { PixelImage } from "../pictures/pixelImage.js";

/** Whose noise a seed stands for. */
export type NoiseSource = "torch" | "device";

/** A picture of more than eight bits: [H, W, 3] from -1 (black) to 1, rows from the top. */
export interface FloatImage {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** `width * height * 3` numbers. */
  readonly values: Float32Array;
}

/** A picture as numbers. */
export type NumberImage = PixelImage | FloatImage;

/** What tasks take as a picture. It is read when the task's turn comes: until then it should stay as it is. */
export type ImageInput = NumberImage | PictureSource;

/** A picture that was decoded. */
export interface DecodedImage extends PixelImage {
  /** RGBA, eight bits each, rows from the top: what `new ImageData(pixels, width, height)` takes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture and how it came about. */
export interface Picture extends DecodedImage {
  /** What was asked for: "text to image". */
  readonly task: string;
  /** As the request had it; "" for models that take none. */
  readonly prompt: string;
  /** As the request had it; "" when absent. */
  readonly negativePrompt: string;
  /** With which the same request gives the same picture. */
  readonly seed: number;
  /** Denoising steps that the request asked for, or the default. */
  readonly steps: number;
  /** Scale of classifier-free guidance. */
  readonly guidance: number;
  /** The sampler that ran. */
  readonly sampler: SamplerName;
  /** Noise in each DDIM step. */
  readonly eta: number;
  /** Whose noise the seed stands for. */
  readonly noise: NoiseSource;
  /** The id of the tuning table that chose forms of kernels: with another the same request differs by rounding. "" without. */
  readonly tuning: string;
  /** What the caller should know, such as a prompt that was cut. */
  readonly warnings: readonly string[];
  /** From the request to the picture. */
  readonly milliseconds: number;
}

/** A picture's code, as the denoiser works on it (scaled): [C, h, w], channel first as the references have it. */
export interface EncodedLatent {
  /** C. */
  readonly channels: number;
  /** h: rows of the latent. */
  readonly height: number;
  /** w: columns of the latent. */
  readonly width: number;
  /** `channels * height * width` numbers. */
  readonly values: Float32Array;
}
