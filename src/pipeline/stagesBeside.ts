import { invariant } from "../core/invariant.js";
import { type AutoencoderConfig, downsampling, parseAutoencoderConfig } from "../models/autoencoder.js";
import { parseTinyAutoencoderConfig } from "../models/tinyAutoencoder.js";
import { openComponent } from "../weights/checkpoint.js";
import { type Folder, readJson } from "../weights/folder.js";
import { openWeights } from "../weights/openWeights.js";
import type { ByteSource } from "../weights/source.js";
import type { Checkpoint } from "./checkpoint.js";
import { sizeMultipleOf } from "./components.js";
import type { CheckpointOptions, ModelSource } from "./loadOptions.js";
import { latentFactor } from "./modelConfig.js";
import { modernNames } from "./names.js";

type Place = Folder | ByteSource;

/** A checkpoint with what its caller puts beside it: another first stage, a small one for previews. */
export async function withStages(
  main: Checkpoint,
  options: Pick<CheckpointOptions, "vae" | "previewer">,
  locate: (source: ModelSource) => Promise<Place>,
): Promise<Checkpoint> {
  const [vae, preview] = await Promise.all([
    options.vae === undefined ? undefined : locate(options.vae).then(openFirstStage),
    options.previewer === undefined ? undefined : locate(options.previewer).then(openPreviewer),
  ]);
  const whole = vae ? withFirstStage(main, vae) : main;
  if (!preview) return whole;
  const [own, small] = [latentFactor(whole.config), downsampling(preview.config)];
  invariant(own === small, `previewer: expected ${own} pixels for each of the latent along a side, it makes ${small}`);
  return {
    ...whole,
    preview: { config: preview.config },
    stored: { ...whole.stored, preview: preview.stored },
  };
}

/** The denoiser's latents stay as large as they are: how large pictures are is the first stage's matter. */
function withFirstStage(main: Checkpoint, { config: stage, stored }: Awaited<ReturnType<typeof openFirstStage>>) {
  const config = { ...main.config, firstStage: scaledAs(stage, main.config.firstStage) };
  const growth = latentFactor(config) / latentFactor(main.config);
  const { width, height, ...sampling } = main.defaults;
  return {
    ...main,
    config,
    defaults: { ...sampling, width: width * growth, height: height * growth },
    sizeMultiple: sizeMultipleOf(config),
    stored: { ...main.stored, vae: stored },
  };
}

/** The denoiser was trained on latents of its own scale, whatever first stage is put in its place. */
function scaledAs(stage: AutoencoderConfig, own: AutoencoderConfig | undefined): AutoencoderConfig {
  return own ? { ...stage, scalingFactor: own.scalingFactor, shiftFactor: own.shiftFactor } : stage;
}

/** A first stage by itself: a diffusers folder, or a file in either naming. */
async function openFirstStage(place: Place) {
  if ("open" in place) {
    const json = await readJson(place, "config.json");
    invariant(json !== undefined, `vae: ${place.name} has no config.json`);
    const config = parseAutoencoderConfig(json, `${place.name}: config.json`);
    return { config, stored: modernNames(await openComponent(place, "")) };
  }
  const { tensors } = await openWeights(place);
  const { translateFirstStage } = await import("./compvis/translate.js");
  const part = await translateFirstStage(tensors);
  return { config: parseAutoencoderConfig(part.config, place.name), stored: part.tensors };
}

async function openPreviewer(place: Place) {
  invariant("open" in place, "previewer: expected a folder in diffusers layout with AutoencoderTiny");
  const json = await readJson(place, "config.json");
  invariant(json !== undefined, `previewer: ${place.name} has no config.json`);
  const config = parseTinyAutoencoderConfig(json, `${place.name}: config.json`);
  return { config, stored: await openComponent(place, "") };
}
