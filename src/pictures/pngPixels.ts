import type { DecodedPng } from "fast-png";
import type { PixelImage } from "./pixelImage.js";

/** RGBA of eight bits from any kind of PNG: grey, colours or a palette, 1 to 16 bits, transparency of each form. */
export function pngPixels(png: DecodedPng): PixelImage {
  const { width, height, depth, channels, palette, transparency } = png;
  const samples = unpacked(png);
  const most = 2 ** depth - 1;
  const pixels = new Uint8ClampedArray(width * height * 4);
  const colours = channels >= 3 ? 3 : 1;
  for (let i = 0; i < width * height; i++) {
    if (palette) {
      const [r = 0, g = 0, b = 0, a = 255] = palette[samples[i]!] ?? [];
      pixels.set([r, g, b, a], i * 4);
      continue;
    }
    const at = i * channels;
    for (let c = 0; c < 3; c++) pixels[i * 4 + c] = (samples[at + (c % colours)]! / most) * 255;
    // One colour may be declared transparent where there is no channel for it.
    const clear =
      transparency?.length &&
      Array.from({ length: colours }, (_, c) => c).every((c) => samples[at + c] === transparency[c]);
    pixels[i * 4 + 3] = channels > colours ? (samples[at + colours]! / most) * 255 : clear ? 0 : 255;
  }
  return { width, height, pixels };
}

/** Samples below eight bits lie several to a byte; rows begin at whole bytes. */
function unpacked({ width, height, depth, channels, data }: DecodedPng): ArrayLike<number> {
  if (depth >= 8) return data;
  const out = new Uint8Array(width * height * channels);
  const rowBytes = Math.ceil((width * depth) / 8);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)]!;
      out[y * width + x] = (byte >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
    }
  }
  return out;
}
