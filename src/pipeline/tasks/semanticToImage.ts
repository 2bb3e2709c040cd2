import { invariant, UnsupportedError } from "../../core/invariant.js";
import type { SpatialRescalerConfig } from "../../models/spatialRescaler.js";
import { samplerPath } from "../../sampling/sampler.js";
import { type Conditioning, conditioningOf, contextOf, texts } from "../conditioning.js";
import { draw, type Run } from "../draw.js";
import { latentChannels, latentFactor } from "../modelConfig.js";
import { type Latent, NoiseStream } from "../noiseStream.js";
import type { Picture } from "../picture.js";
import type { Programs } from "../programs.js";
import { type SamplingOptions, side } from "../request.js";
import { classFractions } from "../rescaler.js";
import { requireConcat } from "./requireConcat.js";

/** The class of each pixel, rows from the top. */
export interface SegmentationMap {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `width * height` classes, from 0. */
  readonly classes: Uint8Array | Uint8ClampedArray | Uint16Array | Uint32Array;
}

/** What semantic to image takes. */
export interface SemanticToImageRequest extends SamplingOptions, Conditioning {
  /** Of the size of the picture to be drawn. */
  readonly segmentation: SegmentationMap;
}

/** Draws a picture whose parts lie where a segmentation map says (paper §4.3.2). */
export async function semanticToImage(
  programs: Programs,
  run: Run,
  request: SemanticToImageRequest,
): Promise<Picture[]> {
  requireConcat(programs, run, ["segmentation"]);
  const { config } = programs;
  const { concat } = config;
  if (concat.kind !== "segmentation") return []; // refused above
  requireHalvings(concat.config, latentFactor(config));
  const { width, height, classes } = request.segmentation ?? {};
  side("segmentation width", width, programs.limits.sizeMultiple);
  side("segmentation height", height, programs.limits.sizeMultiple);
  invariant(
    classes?.length === width * height,
    `segmentation: expected ${width * height} classes, got ${classes?.length}`,
  );
  const { inChannels } = concat.config;
  const other = classes.find((one) => !(Number.isInteger(one) && one >= 0 && one < inChannels));
  invariant(other === undefined, `segmentation: expected classes 0 to ${inChannels - 1}, got ${other}`);
  const { settings } = run;
  const images = settings.seeds.length;
  const factor = latentFactor(config);
  const latent: Latent = [images, height / factor, width / factor, latentChannels(config)];
  const noise = new NoiseStream(settings);
  const rescaler = await programs.rescaler({ images, height: latent[1], width: latent[2] });
  rescaler.rescale(classFractions(request.segmentation, latent[1], latent[2], concat.config.inChannels));
  return draw(programs, {
    run,
    height: latent[1],
    width: latent[2],
    path: samplerPath(settings.scheduler, settings),
    context: contextOf(programs, conditioningOf(request), { guidance: settings.guidance, images }),
    noise,
    start: noise.draw(latent),
    condition: [rescaler.buffer],
    ...texts(request),
  });
}

/** Shares of classes stand for what the original code makes of a map: only where that halves it to the latent's size. */
function requireHalvings({ method, multiplier, stages }: SpatialRescalerConfig, factor: number): void {
  if (method === "bilinear" && multiplier === 0.5 && 2 ** stages === factor) return;
  throw new UnsupportedError(
    `segmentation: maps that are resized ${stages} times by ${multiplier} (${method}) are not supported, latents are 1/${factor} of pictures`,
  );
}
