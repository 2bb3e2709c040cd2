/** Pixels, as `ImageData` and `Picture` hold them: RGBA, eight bits each, rows from the top. */
export interface PixelImage {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** `width * height * 4` bytes. */
  readonly pixels: Uint8ClampedArray | Uint8Array;
}
