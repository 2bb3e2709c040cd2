import type { DecodedImage, StepInfo } from "../index.js";
import type { BitmapStepInfo, InBitmap } from "./remote.js";

/** The same with bitmaps in place of pixels, in pictures and lists of them; anything else as it is. */
export async function withBitmaps(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(withBitmaps));
  return isPicture(value) ? inBitmap(value) : value;
}

/** A task's arguments: its previews come as bitmaps too. */
export function previewingBitmaps(args: readonly unknown[]): readonly unknown[] {
  const [request, ...rest] = args;
  if (!hasOnStep(request)) return args;
  const { onStep } = request;
  const step = (info: StepInfo) => onStep({ ...info, preview: async () => inBitmap(await info.preview()) });
  return [{ ...request, onStep: step }, ...rest];
}

async function inBitmap<P extends DecodedImage>({ pixels, ...rest }: P): Promise<InBitmap<P>> {
  const image = new ImageData(pixels, rest.width, rest.height);
  // As they are: colours are not to be converted, and nothing is transparent.
  const bitmap = await createImageBitmap(image, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  return { ...rest, bitmap };
}

const isPicture = (value: unknown): value is DecodedImage =>
  typeof value === "object" && value !== null && "pixels" in value;

const hasOnStep = (
  request: unknown,
): request is {
  readonly onStep: (info: Omit<BitmapStepInfo, "preview"> & { preview(): Promise<unknown> }) => unknown;
} => typeof request === "object" && request !== null && "onStep" in request && typeof request.onStep === "function";
