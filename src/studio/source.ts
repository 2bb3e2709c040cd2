import type { PixelImage } from "../index.js";
import { form, type Given, given, model } from "./state.js";

/** Takes a picture to begin with. @throws where the browser cannot read it */
export async function takePicture(blob: Blob): Promise<Given> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    const name = blob instanceof File ? blob.name : "The file";
    throw new Error(`${name} is no picture that this browser can read. PNG, JPEG and WebP work everywhere.`);
  }
  const taken = { bitmap, blob };
  given.value = taken;
  return taken;
}

/** The size at which the model sees what was given: of an upscaler a quarter of what comes out. */
export function givenSize(): { readonly width: number; readonly height: number } {
  const { mode, width, height } = form;
  if (mode.value !== "upscale" || !given.value) return { width: width.value, height: height.value };
  const { bitmap } = given.value;
  const most = Math.max(model.value?.facts.defaults.width ?? 512, 256) / 4;
  const scale = Math.min(1, most / Math.max(bitmap.width, bitmap.height));
  const side = (pixels: number) => Math.max(8, Math.round((pixels * scale) / 8) * 8);
  return { width: side(bitmap.width), height: side(bitmap.height) };
}

/** The size of what comes out. */
export function resultSize(): { readonly width: number; readonly height: number } {
  const { width, height } = givenSize();
  if (form.mode.value === "upscale") return { width: width * 4, height: height * 4 };
  if (form.mode.value !== "outpaint") return { width, height };
  const { left, right, top, bottom } = form.margins.value;
  return { width: width + left + right, height: height + top + bottom };
}

/** Draws a picture so that it fills a canvas; what is too much at two sides is left out. */
export function fillWith(canvas: HTMLCanvasElement, bitmap: ImageBitmap, width: number, height: number): void {
  canvas.width = width;
  canvas.height = height;
  const scale = Math.max(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  const context = contextOf(canvas);
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
}

/** What was given, as the model takes it. */
export function givenPixels(): PixelImage | undefined {
  if (!given.value) return undefined;
  const { width, height } = givenSize();
  const canvas = document.createElement("canvas");
  fillWith(canvas, given.value.bitmap, width, height);
  return pixelsOf(canvas);
}

export function pixelsOf(canvas: HTMLCanvasElement): PixelImage {
  const { width, height } = canvas;
  return { width, height, pixels: contextOf(canvas).getImageData(0, 0, width, height).data };
}

export function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("The browser gives no canvas to draw on.");
  return context;
}
