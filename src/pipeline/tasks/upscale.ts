import { samplerPath } from "../../sampling/sampler.js";
import { cumulativeAlphas } from "../../sampling/schedule.js";
import { type Conditioning, conditioningOf, contextOf, texts } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import { latentChannels } from "../modelConfig.js";
import { type Latent, NoiseStream } from "../noiseStream.js";
import type { ImageInput, Picture } from "../picture.js";
import { checkImage, numbersOf, repeated, toSigned } from "../pixels.js";
import type { Programs } from "../programs.js";
import { integer, type SamplingOptions } from "../request.js";
import { pictureNoise } from "./imageToImage.js";
import { requireConcat } from "./requireConcat.js";

export interface UpscaleRequest extends SamplingOptions, Conditioning {
  /** The low-resolution picture. */
  readonly image: ImageInput;
  /** Of the upscaler with a prompt: how much noise the picture is given, mostly 0 to 350; more lets it invent more. 20 by default. */
  readonly noiseLevel?: number;
}

/** Four times the pixels along each side: super-resolution (paper §4.4), or Stable Diffusion's x4 upscaler. */
export async function upscale(programs: Programs, run: Run, request: UpscaleRequest): Promise<Picture[]> {
  requireConcat(programs, run, ["image", "lowResolution"]);
  const { config } = programs;
  const { noiseLevel } = request;
  const image = await numbersOf(request.image);
  checkImage("image", image);
  const { settings } = run;
  const images = settings.seeds.length;
  const { width, height } = image;
  const latent: Latent = [images, height, width, latentChannels(config)];
  const noise = new NoiseStream(settings);
  const context = contextOf(programs, conditioningOf(request), { guidance: settings.guidance, images });
  const path = samplerPath(settings.scheduler, settings);
  const low = repeated(toSigned(image), images);
  const job = { run, height, width, path, context, noise, ...texts(request) };
  if (config.concat.kind !== "lowResolution") {
    if (noiseLevel !== undefined) integer("noiseLevel (this model takes none)", noiseLevel, 0, 0);
    return draw(programs, { ...job, condition: [low], start: noise.draw(latent) });
  }
  const level = noiseLevel ?? 20;
  integer("noiseLevel", level, 0, config.concat.noiseLevels - 1);
  const alpha = cumulativeAlphas(config.concat.scheduler)[level]!;
  const grain = pictureNoise(run, noise, [images, height, width, 3]);
  const noised = low.map((x, i) => Math.sqrt(alpha) * x + Math.sqrt(1 - alpha) * grain[i]!);
  const labels = Array<number>(images * (context.guided ? 2 : 1)).fill(level);
  return draw(programs, { ...job, condition: [noised], labels, start: noise.draw(latent) });
}
