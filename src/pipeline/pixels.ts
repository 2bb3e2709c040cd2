import { invariant } from "../core/invariant.js";
import type { ImageInput, NumberImage, PixelImage } from "./picture.js";

/** The numbers of a picture; what is none is left to {@link checkImage}. */
export async function numbersOf<T extends NumberImage>(image: T | ImageInput): Promise<T | PixelImage> {
  if (typeof image !== "object" || image === null) return image;
  // Arrays have a method of that name.
  if (!(image instanceof Uint8Array) && ("pixels" in image || "values" in image)) return image as T;
  const { sourcePixels } = await import("../pictures/toPixelImage.js");
  return (await sourcePixels(image)) ?? (image as T);
}

/** Refuses what is not an image, and sides that are no multiples of what the networks halve. */
export function checkImage(name: string, image: NumberImage | undefined, multiple = 1): void {
  invariant(typeof image === "object" && image !== null, `${name}: expected an image, got ${image}`);
  const { width, height } = image;
  for (const [side, value] of Object.entries({ width, height })) {
    const fits = Number.isInteger(value) && value > 0 && value % multiple === 0;
    invariant(fits, `${name}: expected a ${side} that is a multiple of ${multiple}, got ${value}`);
  }
  if ("values" in image) {
    const size = width * height * 3;
    const { values } = image;
    const fits = values instanceof Float32Array && values.length === size && values.every(Number.isFinite);
    invariant(fits, `${name}: expected ${size} finite numbers for ${width} x ${height}, got ${values?.length}`);
    return;
  }
  const { pixels } = image;
  const size = width * height * 4;
  invariant(
    (pixels instanceof Uint8ClampedArray || pixels instanceof Uint8Array) && pixels.length === size,
    `${name}: expected ${size} bytes of RGBA for ${width} x ${height}, got ${pixels?.length}`,
  );
}

/** RGBA to [H, W, 3] in [-1, 1]. Transparency is ignored. */
export function toSigned(image: NumberImage): Float32Array<ArrayBuffer> {
  if ("values" in image) return Float32Array.from(image.values);
  const { width, height, pixels } = image;
  const out = new Float32Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) out[i * 3 + c] = (pixels[i * 4 + c]! / 255) * 2 - 1;
  }
  return out;
}

/** Where a mask is white, 1, and where it is black, 0: [H, W]. Colours count by their brightness, from one half on as white. */
export function toMask({ width, height, pixels }: PixelImage): Float32Array<ArrayBuffer> {
  const out = new Float32Array(width * height);
  for (let i = 0; i < out.length; i++) {
    const [r, g, b] = [pixels[i * 4]!, pixels[i * 4 + 1]!, pixels[i * 4 + 2]!];
    out[i] = 0.299 * r + 0.587 * g + 0.114 * b >= 127.5 ? 1 : 0;
  }
  return out;
}

/** Nearest-neighbour resize of [H, W], as PyTorch's "nearest" picks: the pixel at floor(i * in / out). */
export function resizeMask(
  mask: Float32Array,
  [height, width]: readonly [number, number],
  [outHeight, outWidth]: readonly [number, number],
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(outHeight * outWidth);
  for (let y = 0; y < outHeight; y++) {
    const row = Math.floor((y * height) / outHeight) * width;
    for (let x = 0; x < outWidth; x++) out[y * outWidth + x] = mask[row + Math.floor((x * width) / outWidth)]!;
  }
  return out;
}

/** The same values for each picture of a batch. */
export function repeated(values: Float32Array, images: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length * images);
  for (let i = 0; i < images; i++) out.set(values, i * values.length);
  return out;
}

/** The drawn picture where the mask is 1, the original [H, W, 3] in [-1, 1] elsewhere. */
export function composite(drawn: Uint8ClampedArray, original: Float32Array, mask: Float32Array): void {
  for (const [i, painted] of mask.entries()) {
    if (painted !== 0) continue;
    for (let c = 0; c < 3; c++) drawn[i * 4 + c] = (original[i * 3 + c]! + 1) * 127.5;
  }
}
