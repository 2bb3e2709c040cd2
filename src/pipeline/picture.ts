/** A picture and how it came about. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGBA, eight bits each, rows from the top: what `new ImageData(pixels, width, height)` takes. */
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  readonly eta: number;
  readonly noise: "torch" | "device";
  /** What the caller should know, such as a prompt that was cut. */
  readonly warnings: readonly string[];
  /** From the request to the picture. */
  readonly milliseconds: number;
}
