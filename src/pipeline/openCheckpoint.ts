import { invariant } from "../core/invariant.js";
import { type AutoencoderConfig, parseAutoencoderConfig } from "../models/autoencoder.js";
import { openComponent } from "../weights/checkpoint.js";
import { type Folder, folderFromUrl, readJson } from "../weights/folder.js";
import { openWeights } from "../weights/openWeights.js";
import { type ByteSource, fromBlob, openUrl } from "../weights/source.js";
import type { Checkpoint } from "./checkpoint.js";
import { checkComponent, neededComponents } from "./components.js";
import { readDiffusersFolder } from "./diffusersFolder.js";
import type { CheckpointOptions, ModelSource } from "./loadOptions.js";
import { modernNames } from "./names.js";

/**
 * Reads configurations, vocabulary and the headers of the weights of a model, and compares them; needs no graphics device.
 * A model is a folder in diffusers layout, or a single file of the original code or of Stable Diffusion (safetensors, or a
 * checkpoint of torch.save), which an address ending in a file's name, or a blob, stands for.
 * @throws WebldmError that names the file, and the field or tensor, that is missing or does not fit
 */
export async function openCheckpoint(source: ModelSource, options: CheckpointOptions = {}): Promise<Checkpoint> {
  options.signal?.throwIfAborted();
  const place = await locate(source);
  const read = "open" in place ? await readDiffusersFolder(place) : await readFile(place, options);
  options.signal?.throwIfAborted();
  const [vae, preview] = await Promise.all([
    options.vae === undefined ? undefined : openFirstStage(options.vae),
    options.previewer === undefined ? undefined : openPreviewer(options.previewer),
  ]);
  const checkpoint: Checkpoint = {
    ...read,
    ...(vae ? { config: { ...read.config, firstStage: scaledAs(vae.config, read.config.firstStage) } } : {}),
    preview: preview && { config: preview.config },
    stored: { ...read.stored, ...(vae ? { vae: vae.stored } : {}), ...(preview ? { preview: preview.stored } : {}) },
  };
  const { unet, firstStage } = checkpoint.config;
  for (const [name, stage] of Object.entries({ vae: firstStage, previewer: preview?.config })) {
    invariant(
      !stage || stage.latentChannels === unet.outChannels,
      `${checkpoint.name}: the UNet gives ${unet.outChannels} channels, the latent of the ${name} has ${stage?.latentChannels}`,
    );
  }
  const settings = { dtype: "f32", maxBinding: Number.POSITIVE_INFINITY } as const;
  for (const component of neededComponents(checkpoint)) await checkComponent(component, checkpoint, settings);
  return checkpoint;
}

/** The denoiser was trained on latents of its own scale, whatever first stage is put in its place. */
function scaledAs(stage: AutoencoderConfig, own: AutoencoderConfig | undefined): AutoencoderConfig {
  return own ? { ...stage, scalingFactor: own.scalingFactor, shiftFactor: own.shiftFactor } : stage;
}

/** The names of the original code are known to a module of its own, which folders have no use for. */
async function readFile(file: ByteSource, options: CheckpointOptions): Promise<Checkpoint> {
  return (await import("./singleFile.js")).readSingleFile(file, options);
}

const fileName = /\.(safetensors|ckpt|pt|pth|bin)$/i;

/** A folder, or the file that a source stands for. */
async function locate(source: ModelSource): Promise<Folder | ByteSource> {
  if (source instanceof Blob) return fromBlob(source, source instanceof File ? source.name : "checkpoint");
  if (typeof source === "object" && ("open" in source || "read" in source)) return source;
  const address = String(source);
  if (!fileName.test(address.replace(/[?#].*$/, ""))) return folderFromUrl(address);
  const file = await openUrl(address);
  invariant(file, `${address}: there is no such file`);
  return file;
}

/** A first stage by itself: a diffusers folder, or a file in either naming. */
async function openFirstStage(source: ModelSource) {
  const place = await locate(source);
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

async function openPreviewer(source: ModelSource) {
  const place = await locate(source);
  invariant("open" in place, "previewer: expected a folder in diffusers layout with AutoencoderTiny");
  const json = await readJson(place, "config.json");
  invariant(json !== undefined, `previewer: ${place.name} has no config.json`);
  const { parseTinyAutoencoderConfig } = await import("../models/tinyAutoencoder.js");
  const config = parseTinyAutoencoderConfig(json, `${place.name}: config.json`);
  return { config, stored: await openComponent(place, "") };
}
