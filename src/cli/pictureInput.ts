import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { invariant, WebldmError } from "../core/invariant.js";
import type { PixelImage } from "../index.js";
import { pngPixels } from "../pictures/pngPixels.js";
import { oneLine } from "../weights/oneLine.js";
import { optional } from "./optional.js";

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Reads a picture: PNG, or JPEG, BMP, GIF and TIFF where the package jimp is there. What is transparent is shown on white. */
export async function readPicture(path: string): Promise<PixelImage> {
  invariant(existsSync(path), `${path}: expected a picture, it does not exist`);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new WebldmError(`${path}: could not be read: ${oneLine(error)}`);
  }
  const { decode, hasPngSignature } = await optional("fast-png", () => import("fast-png"));
  // What fast-png cannot read of PNG, the general reader does.
  if (hasPngSignature(bytes) && !isInterlacedBelowBytes(bytes)) {
    try {
      return onWhite(pngPixels(decode(bytes)));
    } catch (error) {
      throw new WebldmError(`${path}: is not a valid PNG: ${oneLine(error)}`);
    }
  }
  const { Jimp } = await optional("jimp", () => import("jimp"));
  try {
    const { width, height, data } = (await Jimp.fromBuffer(Buffer.from(bytes))).bitmap;
    return onWhite({ width, height, pixels: new Uint8ClampedArray(data) });
  } catch (error) {
    throw new WebldmError(`${path}: expected a PNG, JPEG, BMP, GIF or TIFF: ${oneLine(error)}`);
  }
}

/** Whether a PNG is interlaced with several samples to a byte, as small palettes and masks may be: its header tells. */
const isInterlacedBelowBytes = (bytes: Uint8Array): boolean => bytes[24]! < 8 && bytes[28] === 1;

/** Areas are averaged where the picture shrinks, and interpolated where it grows. */
export const resizePicture = (picture: PixelImage, size: PictureSize): Promise<PixelImage> =>
  resized(picture, size, async () => {
    const { Jimp } = await optional("jimp", () => import("jimp"));
    const { width, height, pixels } = picture;
    const image = new Jimp({ width, height, data: Buffer.from(pixels) });
    image.resize({ w: size.width, h: size.height });
    return new Uint8ClampedArray(image.bitmap.data);
  });

/** Each pixel is that of the place it came from, so that a mask keeps two values. */
export const resizeNearest = (picture: PixelImage, size: PictureSize): Promise<PixelImage> =>
  resized(picture, size, async () => {
    const { width, height, pixels } = picture;
    const out = new Uint8ClampedArray(size.width * size.height * 4);
    for (let y = 0; y < size.height; y++) {
      const row = Math.floor(((y + 0.5) * height) / size.height) * width;
      for (let x = 0; x < size.width; x++) {
        const from = (row + Math.floor(((x + 0.5) * width) / size.width)) * 4;
        out.set(pixels.subarray(from, from + 4), (y * size.width + x) * 4);
      }
    }
    return out;
  });

async function resized(
  picture: PixelImage,
  { width, height }: PictureSize,
  work: () => Promise<Uint8ClampedArray>,
): Promise<PixelImage> {
  if (picture.width === width && picture.height === height) return picture;
  return { width, height, pixels: await work() };
}

/**
 * The size nearest to a picture's that a model takes. A side that is asked for stays as it is; one alone sets the other in
 * proportion.
 */
export function fittingSize(
  picture: PictureSize,
  asked: { readonly width?: number | undefined; readonly height?: number | undefined },
  multiple: number,
): PictureSize {
  const ratio = picture.width / picture.height;
  const nearest = (side: number) => Math.max(1, Math.round(side / multiple)) * multiple;
  const width = asked.width ?? nearest(asked.height === undefined ? picture.width : asked.height * ratio);
  const height = asked.height ?? nearest(asked.width === undefined ? picture.height : asked.width / ratio);
  return { width, height };
}

function onWhite({ width, height, pixels }: PixelImage): PixelImage {
  const out = new Uint8ClampedArray(pixels.length);
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3]! / 255;
    for (let c = 0; c < 3; c++) out[i + c] = pixels[i + c]! * alpha + 255 * (1 - alpha);
    out[i + 3] = 255;
  }
  return { width, height, pixels: out };
}
