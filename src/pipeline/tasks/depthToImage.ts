import { invariant } from "../../core/invariant.js";
import type { Conditioning } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import type { ImageInput, Picture } from "../picture.js";
import { checkImage, numbersOf, repeated, toSigned } from "../pixels.js";
import type { Programs } from "../programs.js";
import type { SamplingOptions } from "../request.js";
import { resizeBicubic } from "../resizeBicubic.js";
import { encodeImage, withPicture } from "./imageToImage.js";
import { requireConcat } from "./requireConcat.js";

/** How near each pixel is, in any unit: large is near, as MiDaS gives it. */
export interface DepthMap {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** Rows from the top. */
  readonly values: Float32Array;
}

/** What depth to image takes. */
export interface DepthToImageRequest extends SamplingOptions, Conditioning {
  /** The picture to begin with; sides are multiples of the model's `sizeMultiple`. */
  readonly image: ImageInput;
  /** Of any size; it is resized to the latent's and brought to the range that the model knows. */
  readonly depth: DepthMap;
  /** 0.8 by default. */
  readonly strength?: number;
}

/** Draws a picture anew that keeps the depth of another (Stable Diffusion 2, the model with five input channels). */
export async function depthToImage(programs: Programs, run: Run, request: DepthToImageRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["depth"]);
  const { depth, strength = 0.8 } = request;
  const image = await numbersOf(request.image);
  checkImage("image", image, programs.limits.sizeMultiple);
  const setting = withPicture(programs, run, request, image, strength);
  const condition = [repeated(latentDepth(depth, [setting.height, setting.width]), run.settings.seeds.length)];
  const { latent } = await encodeImage(programs, run, setting, toSigned(image));
  return draw(programs, { ...setting, condition, clean: latent, start: setting.noise.draw(setting.latent) });
}

/** Depth of the latent's size, from -1 (far) to 1 (near). */
function latentDepth(depth: DepthMap, size: readonly [number, number]): Float32Array {
  const { width, height, values } = depth ?? {};
  const fits = values instanceof Float32Array && values.length === width * height && values.every(Number.isFinite);
  invariant(fits, `depth: expected ${width} x ${height} finite numbers, got ${values?.length}`);
  const resized = resizeBicubic(values, [height, width], size);
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const x of resized) {
    least = Math.min(least, x);
    most = Math.max(most, x);
  }
  invariant(most > least, "depth: expected a map with some relief, it is the same everywhere");
  return resized.map((x) => (2 * (x - least)) / (most - least) - 1);
}
