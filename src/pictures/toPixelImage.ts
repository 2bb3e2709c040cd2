import { invariant, WebldmError } from "../core/invariant.js";
import type { PictureSource } from "./pictureSource.js";
import type { PixelImage } from "./pixelImage.js";

/** The pixels of a picture in any form. Where it is larger than a canvas may be, or no picture, it is refused. */
export async function readPixels(input: PixelImage | PictureSource): Promise<PixelImage> {
  const image = typeof input === "object" && input !== null && "pixels" in input ? input : await sourcePixels(input);
  invariant(
    image,
    `picture: expected image data, a bitmap, a canvas, a picture, a blob or the bytes of a file, got ${input}`,
  );
  return image;
}

/** The pixels of what holds a picture; undefined for anything else. */
export async function sourcePixels(source: unknown): Promise<PixelImage | undefined> {
  if (source instanceof Blob) return filePixels(source);
  if (source instanceof Uint8Array) return filePixels(new Blob([new Uint8Array(source)]));
  if (typeof source !== "object" || source === null) return undefined;
  if ("data" in source && source.data instanceof Uint8ClampedArray && "width" in source && "height" in source) {
    return { width: Number(source.width), height: Number(source.height), pixels: source.data };
  }
  const kinds = ["ImageBitmap", "HTMLCanvasElement", "OffscreenCanvas", "HTMLImageElement"] as const;
  const drawable = kinds.some((kind) => kind in globalThis && source instanceof globalThis[kind]);
  return drawable
    ? drawnPixels(source as ImageBitmap | HTMLCanvasElement | OffscreenCanvas | HTMLImageElement)
    : undefined;
}

async function filePixels(file: Blob): Promise<PixelImage> {
  if (typeof createImageBitmap !== "function") return pngPixelsOf(file);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { premultiplyAlpha: "none" });
  } catch (error) {
    throw new WebldmError(`picture: the browser cannot decode the file: ${(error as Error).message}`);
  }
  try {
    return drawnPixels(bitmap);
  } finally {
    bitmap.close();
  }
}

function drawnPixels(source: ImageBitmap | HTMLCanvasElement | OffscreenCanvas | HTMLImageElement): PixelImage {
  const [width, height] =
    "naturalWidth" in source ? [source.naturalWidth, source.naturalHeight] : [source.width, source.height];
  invariant(width > 0 && height > 0, `picture: expected some pixels, got ${width} x ${height}`);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  invariant(context, `picture: the browser gives no canvas of ${width} x ${height}`);
  context.drawImage(source, 0, 0);
  return { width, height, pixels: context.getImageData(0, 0, width, height).data };
}

/** In Node. The name is no literal, so that bundlers of pages do not look for the package. */
async function pngPixelsOf(file: Blob): Promise<PixelImage> {
  const name = "fast-png";
  let png: typeof import("fast-png");
  try {
    png = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as typeof png;
  } catch {
    throw new WebldmError(`picture: decoding files outside of browsers needs the package ${name}: npm install ${name}`);
  }
  const { pngPixels } = await import("./pngPixels.js");
  try {
    return pngPixels(png.decode(new Uint8Array(await file.arrayBuffer())));
  } catch (error) {
    throw new WebldmError(`picture: expected a PNG file: ${(error as Error).message}`);
  }
}
