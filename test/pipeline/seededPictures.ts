import type { PixelImage } from "../../src/pipeline/picture.js";

/** A picture of which no two pixels are alike. */
export function gradient({ width, height }: { readonly width: number; readonly height: number }): PixelImage {
  const pixels = new Uint8Array(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    pixels.set([(i * 7) % 256, Math.floor((i * 255) / (width * height)), (i * 3) % 256], i * 4);
  }
  return { width, height, pixels };
}
