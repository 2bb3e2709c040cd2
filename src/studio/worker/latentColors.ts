import type { EncodedLatent, PixelImage } from "../../index.js";

/**
 * Colours of a latent without the decoder: each of red, green and blue as a linear function of the channels, which comes
 * surprisingly close at the latent's own size. The function is learnt from any picture that the decoder made.
 */
export class LatentColors {
  /** For each of red, green and blue a weight a channel, and a constant. */
  constructor(private weights?: readonly (readonly number[])[]) {}

  get known(): boolean {
    return this.weights !== undefined;
  }

  /** Learns from a latent and its picture: least squares on the means of the pixels that belong to each latent pixel. */
  learn(latent: EncodedLatent, picture: PixelImage): void {
    const { channels, height, width } = latent;
    const factor = Math.round(picture.width / width);
    if (factor < 1 || factor * height !== picture.height) return;
    const size = channels + 1;
    const normal = Array.from({ length: size }, () => new Float64Array(size + 3));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const row = [...rowOf(latent, y * width + x), ...meanOf(picture, x * factor, y * factor, factor)];
        for (let i = 0; i < size; i++) for (let j = 0; j < size + 3; j++) normal[i]![j]! += row[i]! * row[j]!;
      }
    }
    const ridge = 1e-3 * height * width; // few pixels, or all alike, must not make it wild
    for (let i = 0; i < channels; i++) normal[i]![i]! += ridge;
    this.weights = solve(normal, size);
  }

  /** A picture as small as the latent. @throws Error where nothing was learnt yet */
  paint(latent: EncodedLatent): PixelImage {
    const { weights } = this;
    if (!weights) throw new Error("no colours are known");
    const { height, width } = latent;
    const pixels = new Uint8ClampedArray(height * width * 4);
    for (let p = 0; p < height * width; p++) {
      const row = rowOf(latent, p);
      const color = weights.map((own) => own.reduce((sum, weight, i) => sum + weight * row[i]!, 0));
      pixels.set([...color, 255], p * 4);
    }
    return { width, height, pixels };
  }
}

/** The channels of a latent pixel, and 1. */
function rowOf({ channels, height, width, values }: EncodedLatent, pixel: number): number[] {
  return [...Array.from({ length: channels }, (_, c) => values[c * height * width + pixel]!), 1];
}

function meanOf({ width, pixels }: PixelImage, left: number, top: number, size: number): number[] {
  const sum = [0, 0, 0];
  for (let y = top; y < top + size; y++) {
    for (let x = left; x < left + size; x++) for (let c = 0; c < 3; c++) sum[c]! += pixels[(y * width + x) * 4 + c]!;
  }
  return sum.map((value) => value / size ** 2);
}

/** Gauss and Jordan, with three right-hand sides; the matrix is positive. */
function solve(matrix: readonly Float64Array[], size: number): number[][] {
  for (let i = 0; i < size; i++) {
    const pivot = matrix[i]!;
    const scale = pivot[i]! || 1;
    for (let j = i; j < size + 3; j++) pivot[j]! /= scale;
    for (let k = 0; k < size; k++) {
      const factor = matrix[k]![i]!;
      if (k === i || factor === 0) continue;
      for (let j = i; j < size + 3; j++) matrix[k]![j]! -= factor * pivot[j]!;
    }
  }
  return [0, 1, 2].map((c) => matrix.map((row) => row[size + c]!));
}
