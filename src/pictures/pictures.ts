import type { PictureSource } from "./pictureSource.js";
import type { PixelImage } from "./pixelImage.js";

/** The pixels of a picture in any form that tasks take. @throws WebldmError for what is no picture, or cannot be decoded */
export const toPixelImage = async (input: PixelImage | PictureSource): Promise<PixelImage> =>
  (await import("./toPixelImage.js")).readPixels(input);

/** A picture as a page's image data; in browsers. The pixels are copied. */
export const toImageData = ({ width, height, pixels }: PixelImage): ImageData =>
  new ImageData(new Uint8ClampedArray(pixels), width, height);

/** A picture as a bitmap, which can be handed to a worker or drawn; in browsers. */
export const toImageBitmap = (picture: PixelImage): Promise<ImageBitmap> => createImageBitmap(toImageData(picture));

/** Sizes a canvas to a picture and puts it there; in browsers. */
export function drawTo(canvas: HTMLCanvasElement | OffscreenCanvas, picture: PixelImage): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  (canvas.getContext("2d") as CanvasRenderingContext2D).putImageData(toImageData(picture), 0, 0);
}

/** A picture as the bytes of a PNG file: the same bytes for the same pixels in each browser, or in Node. */
export const toPng = async (picture: PixelImage): Promise<Uint8Array<ArrayBuffer>> =>
  (await import("./encodePng.js")).encodePng(picture);

/** A picture as a file in memory: PNG anywhere; in browsers also `image/jpeg`, `image/webp` and what else they write. */
export async function toBlob(picture: PixelImage, type = "image/png", quality?: number): Promise<Blob> {
  return (await import("./encodeBlob.js")).encodeBlob(picture, type, quality);
}
