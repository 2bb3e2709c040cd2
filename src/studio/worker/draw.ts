import {
  type EncodedLatent,
  type LatentDiffusion,
  type Picture,
  type PixelImage,
  type SamplingOptions,
  type StepInfo,
  toImageBitmap,
  toPng,
} from "../../index.js";
import { addPngText } from "../pngText.js";
import type { Drawn, Request, StepNews } from "../protocol.js";
import type { LatentColors } from "./latentColors.js";
import type { PreviewBudget } from "./previewBudget.js";

/** What the loop of a picture works with. */
export interface Easel {
  readonly model: LatentDiffusion;
  readonly colors: LatentColors;
  readonly previews: PreviewBudget;
}

/** Milliseconds between sketches: reading a latent makes the device wait for a moment. */
const sketchEvery = 90;

/** Draws a picture, with a look at it after each step that leaves time for one. */
export async function drawPicture(
  { model, colors, previews }: Easel,
  request: Request,
  onStep: (news: StepNews) => void,
  signal: AbortSignal,
): Promise<Drawn | undefined> {
  const started = performance.now();
  let last: { readonly step: number; readonly latent: EncodedLatent } | undefined;
  let sketched = Number.NEGATIVE_INFINITY;
  previews.start();
  const look = async ({ step, steps, latent, preview }: StepInfo): Promise<PixelImage | undefined> => {
    const now = performance.now();
    const full = previews.affords(step, steps, now);
    if (!full && now - sketched < sketchEvery) return undefined;
    const code = await latent();
    last = { step, latent: code };
    sketched = performance.now();
    if (!full) return colors.known ? colors.paint(code) : undefined;
    const picture = await preview();
    previews.paid(performance.now() - now);
    colors.learn(code, picture);
    return picture;
  };
  const sampling: SamplingOptions = {
    steps: request.steps,
    guidance: request.guidance,
    ...(request.sampler ? { sampler: request.sampler } : {}),
    seed: request.seed,
    signal,
    onStep: async (info) => {
      const seen = await look(info);
      if (signal.aborted) return;
      const { step, steps } = info;
      onStep({ step, steps, ...(seen ? { bitmap: await toImageBitmap(seen) } : {}) });
    },
  };
  try {
    const picture = await taskOf(model, request, sampling);
    if (last?.step === request.steps) colors.learn(last.latent, picture);
    return await finished(model, request, picture, picture.warnings, started);
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!last || request.mode === "upscale") return undefined; // of an upscaler's latent little can be seen
    const { latent, step } = last;
    const drawn = await finished(model, request, await model.decode(latent), [], started);
    return { ...drawn, stoppedAt: step };
  }
}

function taskOf(model: LatentDiffusion, request: Request, sampling: SamplingOptions): Promise<Picture> {
  const { mode, width, height, prompt, negativePrompt, label, objects, image, mask, strength } = request;
  const condition =
    model.conditioning === "prompt"
      ? { prompt, ...(negativePrompt ? { negativePrompt } : {}) }
      : model.conditioning === "label"
        ? { label: label ?? 0 }
        : model.conditioning === "objects"
          ? { objects: objects ?? [] }
          : {};
  const size = { width, height };
  const own = { ...sampling, ...condition };
  switch (mode) {
    case "text":
      if (model.conditioning === "prompt") return model.textToImage({ ...own, ...size, prompt });
      if (model.conditioning === "label") return model.classToImage({ ...own, ...size, label: label ?? 0 });
      return model.unconditional({ ...sampling, ...size });
    case "layout":
      return model.layoutToImage({ ...sampling, ...size, objects: objects ?? [] });
    case "image":
      return model.imageToImage({ ...own, image: given(image), ...(strength === undefined ? {} : { strength }) });
    case "inpaint":
      // What the brush did not touch stays as it was, to the pixel.
      return model.inpaint({ ...own, image: given(image), mask: given(mask), composite: true });
    case "outpaint":
      return model.outpaint({ ...own, image: given(image), ...request.margins });
    case "upscale": {
      const level = model.config.concat.kind === "lowResolution" ? { noiseLevel: request.noiseLevel ?? 20 } : {};
      return model.upscale({ ...own, ...level, image: given(image) });
    }
  }
}

function given(image: PixelImage | undefined): PixelImage {
  if (!image) throw new Error("There is no picture to begin with.");
  return image;
}

async function finished(
  model: LatentDiffusion,
  request: Request,
  picture: PixelImage,
  warnings: readonly string[],
  started: number,
): Promise<Drawn> {
  const { width, height } = picture;
  const milliseconds = performance.now() - started;
  const png = new Blob([addPngText(await toPng(picture), request.text)], { type: "image/png" });
  return { png, width, height, milliseconds, warnings, memory: model.memory };
}
