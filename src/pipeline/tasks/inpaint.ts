import { invariant } from "../../core/invariant.js";
import type { PictureSource } from "../../pictures/pictureSource.js";
import type { Conditioning } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import type { ImageInput, NumberImage, Picture, PixelImage } from "../picture.js";
import { checkImage, composite, numbersOf, repeated, resizeMask, toMask, toSigned } from "../pixels.js";
import type { Programs } from "../programs.js";
import type { SamplingOptions } from "../request.js";
import { encodeImage, pictureNoise, withPicture } from "./imageToImage.js";
import { requireConcat } from "./requireConcat.js";

/** What inpainting takes. */
export interface InpaintRequest extends SamplingOptions, Conditioning {
  /** The picture; sides are multiples of the model's `sizeMultiple`. */
  readonly image: ImageInput;
  /** White is painted anew, black stays; of the image's size. */
  readonly mask: PixelImage | PictureSource;
  /** 1 (default) begins with pure noise under the mask, less with the noised picture. */
  readonly strength?: number;
  /**
   * Puts the original's pixels back outside the mask. Where it is off, the whole picture comes out of the decoder. By
   * default as the reference of the model does it: on for the paper's inpainting model, off for others.
   */
  readonly composite?: boolean;
}

/** Paints a part of a picture anew (paper §4.5; with models that were not trained for it, by masked sampling). */
export async function inpaint(programs: Programs, run: Run, request: InpaintRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["none", "inpaint", "maskedImage"]);
  const image = await numbersOf(request.image);
  const mask = await numbersOf<PixelImage>(request.mask);
  checkImage("image", image, programs.limits.sizeMultiple);
  checkImage("mask", mask);
  invariant("pixels" in mask, "mask: expected pixels, black and white, got an image of floats");
  invariant(
    mask.width === image.width && mask.height === image.height,
    `mask: expected ${image.width} x ${image.height}, the size of the image, got ${mask.width} x ${mask.height}`,
  );
  return inpaintMask(programs, run, { ...request, image }, toMask(mask));
}

/** The same with the mask as numbers [H, W]: 1 is painted anew. */
export async function inpaintMask(
  programs: Programs,
  run: Run,
  request: Omit<InpaintRequest, "mask" | "image"> & { readonly image: NumberImage },
  mask: Float32Array,
): Promise<Picture[]> {
  const { image, strength = 1 } = request;
  const { concat } = programs.config;
  const images = run.settings.seeds.length;
  // From full strength on both references begin with pure noise.
  const setting = withPicture(programs, run, request, image, strength === 1 ? undefined : strength);
  const { height, width, latent, noise, path } = setting;
  const small = resizeMask(mask, [image.height, image.width], [height, width]);
  const signed = toSigned(image);
  const keeps = request.composite ?? concat.kind === "maskedImage";
  const job = {
    ...setting,
    ...(keeps ? { finish: (pixels: Uint8ClampedArray) => composite(pixels, signed, mask) } : {}),
  };
  const holed = (value: number) => signed.map((x, i) => (mask[Math.floor(i / 3)]! > 0 ? value : x));

  if (concat.kind === "none") {
    const clean = await encodeImage(programs, run, setting, signed);
    const start = noise.draw(latent);
    // diffusers encodes the hole for every model: what it draws for that shifts the noise of the steps.
    const idle = programs.config.firstStage?.kind === "kl" && run.settings.scheduler.convention === "diffusers";
    if (idle) pictureNoise(run, noise, latent);
    return draw(programs, { ...job, start, clean: clean.latent, mask: repeated(small, images) });
  }
  // The encoder is needed for the hole as well; the picture itself only to begin with some of it.
  const clean =
    path.start.signal > 0
      ? { clean: Float32Array.from(await (await encodeImage(programs, run, setting, signed)).readLatent()) }
      : {};
  const start = noise.draw(latent);
  if (concat.kind === "maskedImage") {
    // The original inpainting model: the hole is -1, the mask is told as -1 and 1, and the latent is not scaled.
    const hole = await encodeImage(programs, run, setting, holed(-1), { scaled: false });
    const signs = small.map((x) => 2 * x - 1);
    return draw(programs, { ...job, start, ...clean, condition: [hole.latent, repeated(signs, images)] });
  }
  // Nine channels: the hole is 0 (grey), the mask 0 and 1.
  const hole = await encodeImage(programs, run, setting, holed(0));
  return draw(programs, { ...job, start, ...clean, condition: [repeated(small, images), hole.latent] });
}
