import { samplerPath } from "../../sampling/sampler.js";
import { type Conditioning, conditioningOf, contextOf, texts } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import { latentChannels, latentFactor } from "../modelConfig.js";
import { type Latent, NoiseStream } from "../noiseStream.js";
import type { ImageInput, NumberImage, Picture } from "../picture.js";
import type { Encoder } from "../pixelStage.js";
import { checkImage, numbersOf, repeated, toSigned } from "../pixels.js";
import type { Programs } from "../programs.js";
import { finite, type SamplingOptions } from "../request.js";
import { requireConcat } from "./requireConcat.js";

export interface ImageToImageRequest extends SamplingOptions, Conditioning {
  /** The picture to begin with; its sides are multiples of the model's `sizeMultiple`. */
  readonly image: ImageInput;
  /** How much of the way from noise is walked: near 0 the picture stays, at 1 little of it is left. 0.8 by default. */
  readonly strength?: number;
}

/** Draws pictures anew from a noised one (SDEdit, Meng et al. 2022; the reference's img2img). */
export async function imageToImage(programs: Programs, run: Run, request: ImageToImageRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["none"]);
  const { strength = 0.8 } = request;
  const image = await numbersOf(request.image);
  checkImage("image", image, programs.limits.sizeMultiple);
  const setting = withPicture(programs, run, request, image, strength);
  const { latent } = await encodeImage(programs, run, setting, toSigned(image));
  return draw(programs, { ...setting, clean: latent, start: setting.noise.draw(setting.latent) });
}

/** The parts of a job that the tasks with a picture share. */
export function withPicture(
  programs: Programs,
  run: Run,
  request: Conditioning,
  { width, height }: Pick<NumberImage, "width" | "height">,
  strength: number | undefined,
) {
  const { settings } = run;
  const { config } = programs;
  const images = settings.seeds.length;
  if (strength !== undefined) finite("strength", strength, 0, 1);
  const factor = latentFactor(config);
  const latent: Latent = [images, height / factor, width / factor, latentChannels(config)];
  return {
    run,
    latent,
    height: latent[1],
    width: latent[2],
    context: contextOf(programs, conditioningOf(request), { guidance: settings.guidance, images }),
    path: samplerPath(settings.scheduler, { ...settings, ...(strength === undefined ? {} : { strength }) }),
    noise: new NoiseStream(settings),
    ...texts(request),
  };
}

/**
 * Encodes a picture [H, W, 3] in [-1, 1] for each of the batch. A KL first stage is sampled with each picture's own noise,
 * as the reference does; the latent stays in the encoder's buffer until the next picture is encoded.
 */
export async function encodeImage(
  programs: Programs,
  run: Run,
  { latent, noise }: { readonly latent: Latent; readonly noise: NoiseStream },
  signed: Float32Array,
  { scaled = true }: { readonly scaled?: boolean } = {},
): Promise<Encoder> {
  const [images, height, width] = latent;
  const factor = latentFactor(programs.config);
  const size = { images, height: height * factor, width: width * factor };
  const encoder = await programs.encoder(size, run.settings.memoryBudget);
  run.check();
  const sampled = programs.config.firstStage?.kind === "kl";
  const own = sampled ? { noise: pictureNoise(run, noise, latent) } : {};
  encoder.encode(repeated(signed, images), { scaled, ...own });
  return encoder;
}

/** Noise for a picture that the whole batch shares: diffusers draws it once where one generator draws for all. */
export function pictureNoise({ settings }: Run, noise: NoiseStream, shape: Latent): Float32Array<ArrayBuffer> {
  const [images, ...one] = shape;
  const once = settings.jointNoise && settings.scheduler.convention === "diffusers";
  return once ? repeated(noise.values([1, ...one]), images) : noise.values(shape);
}
