import { UnsupportedError, WebldmError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { parseAutoencoderConfig } from "../models/autoencoder.js";
import { parseClipConfig } from "../models/clip.js";
import type { UNetConfig } from "../models/unetConfig.js";
import { parseUNetConfig } from "../models/unetConfig.js";
import { samplerOf } from "../sampling/sampler.js";
import { parseSchedulerConfig } from "../sampling/schedule.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { openComponent } from "../weights/checkpoint.js";
import { type Folder, readJson } from "../weights/folder.js";
import type { StoredTensor } from "../weights/safetensors.js";
import type { Checkpoint } from "./checkpoint.js";
import { sizeMultipleOf } from "./components.js";
import { checkContext, checkLabels, unclipped } from "./modelChecks.js";
import { type ConcatCondition, type Conditioner, latentFactor, type ModelConfig } from "./modelConfig.js";
import { modernNames } from "./names.js";
import type { Defaults } from "./request.js";
import { readBertTokenizer, readClipTokenizer } from "./tokenizers.js";

/** Pipelines of diffusers whose models we know, and how they are sampled by default. */
const pipelines: Readonly<Record<string, Pick<Defaults, "steps" | "guidance" | "eta">>> = {
  StableDiffusionPipeline: { steps: 20, guidance: 7.5, eta: 0 },
  StableDiffusionImg2ImgPipeline: { steps: 20, guidance: 7.5, eta: 0 },
  StableDiffusionInpaintPipeline: { steps: 20, guidance: 7.5, eta: 0 },
  StableDiffusionDepth2ImgPipeline: { steps: 20, guidance: 7.5, eta: 0 },
  StableDiffusionUpscalePipeline: { steps: 75, guidance: 9, eta: 0 },
  LDMTextToImagePipeline: { steps: 50, guidance: 1, eta: 0 },
  LDMPipeline: { steps: 50, guidance: 1, eta: 0 },
  LDMSuperResolutionPipeline: { steps: 100, guidance: 1, eta: 0 },
};

/** A model in diffusers layout: `model_index.json` and a folder for each network. */
export async function readDiffusersFolder(folder: Folder): Promise<Checkpoint> {
  const index = await required<Record<string, unknown>>(folder, "model_index.json");
  const className = String(index["_class_name"]);
  if (className === "LatentDiffusion") return (await import("./convertedFolder.js")).readConvertedFolder(folder);
  const usual = pipelines[className];
  if (!usual) {
    const known = Object.keys(pipelines).join(", ");
    throw new UnsupportedError(`${folder.name}: model_index.json names ${className}; expected one of ${known}`);
  }
  const has = (part: string) => Array.isArray(index[part]) && index[part][1] !== null;
  const vaeFolder = has("vqvae") ? "vqvae" : "vae";
  const textFolder = has("bert") ? "bert" : has("text_encoder") ? "text_encoder" : undefined;

  // All at once: over a network, what waits for another file waits for a journey there and back.
  const json = readJson(folder, "webldm.json");
  const text = textFolder ? openComponent(folder, textFolder) : Promise.resolve(undefined);
  const padding = json.then(paddingIn);
  const [own, textStored, unetStored, vaeStored, unet, firstStage, scheduler, lowResolution, told] = await Promise.all([
    json,
    text,
    openComponent(folder, "unet").then(modernNames),
    openComponent(folder, vaeFolder).then(modernNames),
    required(folder, "unet/config.json").then((json) => parseUNetConfig(json)),
    required(folder, `${vaeFolder}/config.json`).then((json) =>
      parseAutoencoderConfig(json, `${vaeFolder}/config.json`),
    ),
    required(folder, "scheduler/scheduler_config.json").then((json) => parseSchedulerConfig(json)),
    readJson(folder, "low_res_scheduler/scheduler_config.json"),
    readConditioner(folder, textFolder, text, padding),
    padding,
  ]);
  const { conditioner, tokenizer } = told;
  checkContext(folder.name, unet, conditioner);
  const concat = concatOf(folder.name, unet, lowResolution, index["max_noise_level"]);
  const config: ModelConfig = { unet, firstStage, scheduler: unclipped(scheduler), conditioner, concat };
  checkLabels(folder.name, config);
  const side = unet.sampleSize * latentFactor(config);
  const unsupported = samplerOf(scheduler) ? [] : [scheduler.name];
  return {
    name: folder.name,
    config,
    tokenizer,
    defaults: { width: side, height: side, ...usual, ...recommendedIn(own) },
    sizeMultiple: sizeMultipleOf(config),
    stored: { unet: unetStored, vae: vaeStored, ...(textStored ? { text_encoder: textStored } : {}) },
    preview: undefined,
    notes: unsupported.map((name) => `the checkpoint's ${name} is not supported yet; sampled with DDIM`),
  };
}

async function readConditioner(
  folder: Folder,
  textFolder: string | undefined,
  stored: Promise<ReadonlyMap<string, StoredTensor> | undefined>,
  padding: Promise<number | undefined>,
): Promise<{ conditioner: Conditioner; tokenizer: Tokenizer | undefined }> {
  if (!textFolder) return { conditioner: { kind: "none" }, tokenizer: undefined };
  if (textFolder === "bert") {
    const { parseBertConfig } = await import("../models/bert.js");
    const config = parseBertConfig(await required(folder, "bert/config.json"));
    const tokenizer = await readBertTokenizer(folder, "tokenizer", config.positions);
    return { conditioner: { kind: "bert", config }, tokenizer };
  }
  const [config, tokenizer, pad, tensors] = await Promise.all([
    required(folder, `${textFolder}/config.json`).then((json) => parseClipConfig(json)),
    readClipTokenizer(folder, "tokenizer", padding),
    padding,
    stored,
  ]);
  const prefix = [...(tensors?.keys() ?? [])].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
  return { conditioner: { kind: "clip", config, prefix, ...(pad === undefined ? {} : { padding: pad }) }, tokenizer };
}

/** What is joined to the latent, told from the number of input channels. */
function concatOf(
  name: string,
  { inChannels, outChannels, labels }: UNetConfig,
  lowResolution: unknown,
  highestLevel: unknown = 350,
): ConcatCondition {
  const extra = inChannels - outChannels;
  if (extra === 0) return { kind: "none" };
  if (extra === 1) return { kind: "depth" };
  if (extra === outChannels + 1) return { kind: "inpaint" };
  if (extra === 3 && lowResolution !== undefined && labels?.kind === "table") {
    const scheduler = parseSchedulerConfig(lowResolution, "low_res_scheduler/scheduler_config.json");
    return { kind: "lowResolution", noiseLevels: Math.min(labels.classes, Number(highestLevel) + 1), scheduler };
  }
  if (extra === 3) return { kind: "image", channels: 3 };
  throw new UnsupportedError(
    `${name}: the UNet takes ${inChannels} channels and gives ${outChannels}; no task joins ${extra}`,
  );
}

/** Defaults that a model folder may state in an optional file of ours, `webldm.json`. */
function recommendedIn(json: unknown): Partial<Defaults> {
  if (json === undefined) return {};
  const fields = new Fields(json, "webldm.json");
  const has = (name: string) => fields.raw(name) !== undefined;
  const side = has("side") ? fields.count("side") : undefined;
  return {
    ...(has("steps") ? { steps: fields.count("steps") } : {}),
    ...(has("guidance") ? { guidance: fields.number("guidance") } : {}),
    ...(has("eta") ? { eta: fields.number("eta") } : {}),
    ...(side === undefined ? {} : { width: side, height: side }),
  };
}

/** What fills a prompt's window, where such a file states it. */
function paddingIn(json: unknown): number | undefined {
  if (json === undefined) return undefined;
  const fields = new Fields(json, "webldm.json");
  return fields.raw("padding") === undefined ? undefined : fields.number("padding");
}

async function required<T = unknown>(folder: Folder, path: string): Promise<T> {
  const value = await readJson<T>(folder, path);
  if (value === undefined) {
    throw new WebldmError(`${folder.name}: has no ${path}; expected a model in diffusers layout`);
  }
  return value;
}
