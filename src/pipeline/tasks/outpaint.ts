import { invariant } from "../../core/invariant.js";
import type { Run } from "../draw.js";
import type { Picture } from "../picture.js";
import { checkImage, numbersOf, toSigned } from "../pixels.js";
import type { Programs } from "../programs.js";
import { integer, side } from "../request.js";
import { type InpaintRequest, inpaintMask } from "./inpaint.js";
import { requireConcat } from "./requireConcat.js";

/** What outpainting takes. */
export interface OutpaintRequest extends Omit<InpaintRequest, "mask"> {
  /** Pixels to add at each side; 0 where absent. */
  readonly left?: number;
  /** As `left`. */
  readonly right?: number;
  /** As `left`. */
  readonly top?: number;
  /** As `left`. */
  readonly bottom?: number;
}

/** Continues a picture beyond its borders. Its own pixels are put back in the end unless `composite` is false. */
export async function outpaint(programs: Programs, run: Run, request: OutpaintRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["none", "inpaint", "maskedImage"]);
  const { image: given, left = 0, right = 0, top = 0, bottom = 0, composite = true, ...rest } = request;
  const image = await numbersOf(given);
  checkImage("image", image);
  for (const [name, pixels] of Object.entries({ left, right, top, bottom })) integer(name, pixels, 0, 4096);
  invariant(
    left + right + top + bottom > 0,
    "outpaint: expected pixels to add at left, right, top or bottom, got none",
  );
  const { sizeMultiple } = programs.limits;
  const width = image.width + left + right;
  const height = image.height + top + bottom;
  side("left + image + right", width, sizeMultiple);
  side("top + image + bottom", height, sizeMultiple);
  const original = toSigned(image);
  const canvas = { width, height, values: new Float32Array(width * height * 3) };
  const mask = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromX, fromY] = [clamp(x - left, image.width), clamp(y - top, image.height)];
      const at = y * width + x;
      // New ground begins as what lies nearest, so that the encoder sees no edge at the border.
      const from = (fromY * image.width + fromX) * 3;
      canvas.values.set(original.subarray(from, from + 3), at * 3);
      mask[at] = fromX === x - left && fromY === y - top ? 0 : 1;
    }
  }
  return inpaintMask(programs, run, { ...rest, image: canvas, composite }, mask);
}

const clamp = (x: number, size: number): number => Math.min(Math.max(x, 0), size - 1);
