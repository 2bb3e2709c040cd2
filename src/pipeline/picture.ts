import type { SamplerName } from "../sampling/sampler.js";

/** Whose noise a seed stands for. */
export type NoiseSource = "torch" | "device";

/** Pixels, as `ImageData` and `Picture` hold them: RGBA, eight bits each, rows from the top. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8ClampedArray | Uint8Array;
}

/** A picture of more than eight bits: [H, W, 3] from -1 (black) to 1, rows from the top. */
export interface FloatImage {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

/** What tasks take as a picture. */
export type ImageInput = PixelImage | FloatImage;

/** A picture that was decoded. */
export interface DecodedImage extends PixelImage {
  /** RGBA, eight bits each, rows from the top: what `new ImageData(pixels, width, height)` takes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A picture and how it came about. */
export interface Picture extends DecodedImage {
  /** What was asked for: "text to image". */
  readonly task: string;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly sampler: SamplerName;
  readonly eta: number;
  readonly noise: NoiseSource;
  /** What the caller should know, such as a prompt that was cut. */
  readonly warnings: readonly string[];
  /** From the request to the picture. */
  readonly milliseconds: number;
}
