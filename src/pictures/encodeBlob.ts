import { invariant } from "../core/invariant.js";
import { encodePng } from "./encodePng.js";
import type { PixelImage } from "./pixelImage.js";

/** @param quality of types that lose detail, 0 to 1 */
export async function encodeBlob(picture: PixelImage, type: string, quality?: number): Promise<Blob> {
  if (type === "image/png") return new Blob([await encodePng(picture)], { type });
  invariant(typeof OffscreenCanvas === "function", `type: outside of browsers expected image/png, got ${type}`);
  const { width, height, pixels } = picture;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(pixels), width, height), 0, 0);
  const blob = await canvas.convertToBlob({ type, ...(quality === undefined ? {} : { quality }) });
  // Browsers write PNG in place of what they do not know.
  invariant(blob.type === type, `type: expected one that this browser writes, such as image/jpeg, got ${type}`);
  return blob;
}
