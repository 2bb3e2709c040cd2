import { invariant } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { openComponent } from "../weights/checkpoint.js";
import { type Folder, readJson } from "../weights/folder.js";
import type { Checkpoint } from "./checkpoint.js";
import type { Part, Translated, TranslatedConcat, TranslatedConditioner } from "./compvis/types.js";
import { fromTranslated } from "./singleFile.js";

/** A model that `webldm convert` wrote and that no pipeline of diffusers stands for: `webldm.json` says what it is. */
export async function readConvertedFolder(folder: Folder): Promise<Checkpoint> {
  const required = async (path: string): Promise<Record<string, unknown>> => {
    const json = await readJson<Record<string, unknown>>(folder, path);
    invariant(json !== undefined, `${folder.name}: has no ${path}`);
    return json;
  };
  const part = async (path: string): Promise<Part> => ({
    config: await required(`${path}/config.json`),
    tensors: await openComponent(folder, path),
  });
  const about = new Fields(await required("webldm.json"), `${folder.name}: webldm.json`);
  const index = await required("model_index.json");
  const unet = await part("unet");
  const firstStage = index["vae"] ? await part("vae") : index["vqvae"] ? await part("vqvae") : undefined;
  const optional = (name: "steps" | "guidance" | "eta" | "side") =>
    about.raw(name) === undefined ? {} : { [name]: about.number(name) };
  const translated: Translated = {
    name: folder.name,
    unet,
    firstStage,
    scheduler: await required("scheduler/scheduler_config.json"),
    conditioner: await conditionerIn(about, unet, part),
    concat: await concatIn(about, unet, part),
    labels: undefined,
    ema: false,
    defaults: { ...optional("steps"), ...optional("guidance"), ...optional("eta"), ...optional("side") },
    notes: [],
  };
  const tokenizer: Folder = {
    name: `${folder.name}/tokenizer`,
    open: (path) => folder.open(`tokenizer/${path}`),
  };
  return fromTranslated(folder.name, translated, { tokenizer });
}

type ReadPart = (path: string) => Promise<Part>;

async function conditionerIn(about: Fields, unet: Part, part: ReadPart): Promise<TranslatedConditioner> {
  const kind = about.oneOf("conditioner", ["none", "clip", "bert", "boxes", "class", "embeddings"]);
  switch (kind) {
    case "none":
      return { kind };
    case "clip":
      return { kind, part: await part("text_encoder"), padWithZero: about.raw("padding") === 0 };
    case "bert":
    case "boxes":
      return { kind, part: await part("bert") };
    case "class":
      return { kind, part: await part("class_embedder") };
    case "embeddings":
      return { kind, width: new Fields(unet.config, "unet/config.json").count("cross_attention_dim") };
  }
}

async function concatIn(about: Fields, unet: Part, part: ReadPart): Promise<TranslatedConcat> {
  const kind = about.oneOf("concat", ["none", "segmentation", "image", "maskedImage", "inpaint", "depth"]);
  if (kind === "segmentation") return { kind, part: await part("rescaler") };
  if (kind !== "image") return { kind };
  const channels = new Fields(unet.config, "unet/config.json");
  return { kind, channels: channels.count("in_channels") - channels.count("out_channels") };
}
