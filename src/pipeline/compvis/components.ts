import type { Component } from "../../weights/component.js";
import type { Part, Translated } from "./types.js";
import { usualSampling } from "./zoo.js";

/** How a converted folder tells what diffusers' files have no word for: the content of `webldm.json`. */
interface Description {
  readonly steps?: number;
  readonly guidance?: number;
  readonly eta?: number;
  /** Pixels along a side of the training pictures. */
  readonly side?: number;
  readonly conditioner: Translated["conditioner"]["kind"];
  readonly concat: Translated["concat"]["kind"];
  /** What fills a prompt's window, as OpenCLIP does it; tokenizer files know such a token by its text alone, "!". */
  readonly padding?: 0;
}

/** Pipelines of diffusers that load what is written here as well. */
const pipelines: readonly (readonly [
  name: string,
  conditioner: Translated["conditioner"]["kind"],
  concat: Translated["concat"]["kind"],
])[] = [
  ["StableDiffusionPipeline", "clip", "none"],
  ["StableDiffusionInpaintPipeline", "clip", "inpaint"],
  ["StableDiffusionDepth2ImgPipeline", "clip", "depth"],
  ["StableDiffusionUpscalePipeline", "clip", "lowResolution"],
  ["LDMTextToImagePipeline", "bert", "none"],
  ["LDMPipeline", "none", "none"],
  ["LDMSuperResolutionPipeline", "none", "image"],
];

const textEncoders: Readonly<Record<string, readonly [folder: string, library: string, className: string]>> = {
  clip: ["text_encoder", "transformers", "CLIPTextModel"],
  bert: ["bert", "latent_diffusion", "LDMBertModel"],
  boxes: ["bert", "latent_diffusion", "LDMBertModel"],
  class: ["class_embedder", "webldm", "ClassEmbedder"],
};

/** What splits a text; the converter writes its files beside these parts. */
const tokenizers: Readonly<Record<string, string>> = { clip: "CLIPTokenizer", bert: "BertTokenizer" };

const component = (path: string, { config, tensors }: Part): Component => ({
  path,
  tensors,
  json: { "config.json": config },
});

const jsonOnly = (path: string, name: string, json: unknown): Component => ({
  path,
  tensors: new Map(),
  json: { [name]: json },
});

/** A checkpoint of the original code as the folders of diffusers' layout, with our `webldm.json` beside them. */
export function toComponents(translated: Translated): Component[] {
  const { unet, firstStage, scheduler, conditioner, concat, defaults } = translated;
  // All of them have a first stage.
  const named = firstStage && pipelines.find(([, kind, joined]) => kind === conditioner.kind && joined === concat.kind);
  const index: Record<string, unknown> = { _class_name: named?.[0] ?? "LatentDiffusion" };
  const components: Component[] = [component("unet", unet)];
  index["unet"] = ["diffusers", unet.config["_class_name"]];
  if (firstStage) {
    const folder = conditioner.kind === "clip" ? "vae" : "vqvae";
    components.push(component(folder, firstStage));
    index[folder] = ["diffusers", firstStage.config["_class_name"]];
  }
  const encoder = textEncoders[conditioner.kind];
  if (encoder && "part" in conditioner) {
    const [folder, library, className] = encoder;
    components.push(component(folder, conditioner.part));
    index[folder] = [library, className];
  }
  const tokenizer = tokenizers[conditioner.kind];
  if (tokenizer) index["tokenizer"] = ["transformers", tokenizer];
  if (concat.kind === "segmentation") {
    components.push(component("rescaler", concat.part));
    index["rescaler"] = ["webldm", "SpatialRescaler"];
  }
  components.push(jsonOnly("scheduler", "scheduler_config.json", scheduler));
  index["scheduler"] = ["diffusers", scheduler["_class_name"]];
  if (concat.kind === "lowResolution") {
    components.push(jsonOnly("low_res_scheduler", "scheduler_config.json", concat.scheduler));
    index["max_noise_level"] = concat.noiseLevels - 1;
    index["low_res_scheduler"] = ["diffusers", "DDPMScheduler"];
  }
  const description: Description = {
    ...usualSampling, // the pipelines' own differ
    ...defaults,
    conditioner: conditioner.kind,
    concat: concat.kind,
    ...(conditioner.kind === "clip" && conditioner.padWithZero ? { padding: 0 } : {}),
  };
  components.push({ path: "", tensors: new Map(), json: { "model_index.json": index, "webldm.json": description } });
  return components;
}
