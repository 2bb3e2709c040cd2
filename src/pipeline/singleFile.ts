import { invariant } from "../core/invariant.js";
import { parseAutoencoderConfig } from "../models/autoencoder.js";
import { parseBertConfig } from "../models/bert.js";
import { parseClassEmbedderConfig } from "../models/classEmbedder.js";
import { parseClipConfig } from "../models/clip.js";
import { parseSpatialRescalerConfig } from "../models/spatialRescaler.js";
import { parseUNetConfig } from "../models/unetConfig.js";
import { parseSchedulerConfig } from "../sampling/schedule.js";
import { encodeBoxes } from "../text/boxes.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { type Folder, folderFromUrl } from "../weights/folder.js";
import { openWeights } from "../weights/openWeights.js";
import type { StoredTensor } from "../weights/safetensors.js";
import type { ByteSource } from "../weights/source.js";
import type { Checkpoint } from "./checkpoint.js";
import { sizeMultipleOf } from "./components.js";
import { isCompvis, type Translated, translate } from "./compvis/translate.js";
import { usualSampling } from "./compvis/zoo.js";
import type { CheckpointOptions } from "./loadOptions.js";
import { checkContext, checkLabels, unclipped } from "./modelChecks.js";
import { type ConcatCondition, type Conditioner, latentFactor, type ModelConfig } from "./modelConfig.js";
import { readBertTokenizer, readClipTokenizer } from "./tokenizers.js";

/** A checkpoint in one file, in the naming of the original code. */
export async function readSingleFile(source: ByteSource, options: CheckpointOptions): Promise<Checkpoint> {
  const { tensors, metadata } = await openWeights(source, options.signal);
  invariant(
    isCompvis(tensors),
    `${source.name}: expected a whole checkpoint (model.diffusion_model.*, first_stage_model.*), its tensors are named like ${[...tensors.keys()][0]}`,
  );
  const { config: original, ema, vae } = options;
  const translated = await translate(tensors, {
    metadata,
    ...(original === undefined ? {} : { config: original }),
    ...(ema === undefined ? {} : { ema }),
    firstStageBeside: vae !== undefined,
  });
  return fromTranslated(source.name, translated, options);
}

/** A checkpoint of the original code, in diffusers' terms, as the engine takes it. */
export async function fromTranslated(
  file: string,
  translated: Translated,
  options: Pick<CheckpointOptions, "tokenizer">,
): Promise<Checkpoint> {
  const { conditioner: told, concat: joined } = translated;
  const { side: trained, ...sampling } = translated.defaults;
  const unet = parseUNetConfig(translated.unet.config, `${file}: UNet`);
  const firstStage =
    translated.firstStage && parseAutoencoderConfig(translated.firstStage.config, `${file}: first stage`);
  const scheduler = unclipped(parseSchedulerConfig(translated.scheduler, `${file}: schedule`));
  const conditioner = conditionerOf(told);
  checkContext(file, unet, conditioner);
  const config: ModelConfig = { unet, firstStage, scheduler, conditioner, concat: concatOf(joined) };
  checkLabels(file, config);
  const side = trained ?? unet.sampleSize * latentFactor(config);
  const stored: Record<string, ReadonlyMap<string, StoredTensor>> = { unet: translated.unet.tensors };
  if (translated.firstStage) stored["vae"] = translated.firstStage.tensors;
  if ("part" in told) stored["text_encoder"] = told.part.tensors;
  if (joined.kind === "segmentation") stored["rescaler"] = joined.part.tensors;
  return {
    name: file,
    config,
    tokenizer: await tokenizerOf(conditioner, options.tokenizer),
    layout: layoutOf(conditioner),
    defaults: { width: side, height: side, ...usualSampling, ...sampling },
    sizeMultiple: sizeMultipleOf(config),
    stored,
    preview: undefined,
    notes: translated.notes,
  };
}

function conditionerOf(told: Translated["conditioner"]): Conditioner {
  switch (told.kind) {
    case "clip": {
      const prefix = [...told.part.tensors.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
      const config = parseClipConfig(told.part.config, "text encoder");
      return { kind: "clip", config, prefix, ...(told.padWithZero ? { padding: 0 } : {}) };
    }
    case "bert":
    case "boxes":
      return { kind: told.kind, config: parseBertConfig(told.part.config, "text encoder") };
    case "class":
      return { kind: "class", ...parseClassEmbedderConfig(told.part.config) };
    default:
      return told;
  }
}

function concatOf(joined: Translated["concat"]): ConcatCondition {
  switch (joined.kind) {
    case "segmentation":
      return { kind: "segmentation", config: parseSpatialRescalerConfig(joined.part.config) };
    case "lowResolution":
      return { ...joined, scheduler: parseSchedulerConfig(joined.scheduler, "schedule of the low-resolution picture") };
    default:
      return joined;
  }
}

/** Layouts come from the original code alone, so that their tokens are known here and not to every page. */
function layoutOf(conditioner: Conditioner): Checkpoint["layout"] {
  if (conditioner.kind !== "boxes") return undefined;
  const { vocabulary: tokens } = conditioner.config;
  return (objects, categories) => encodeBoxes(objects, { tokens, ...(categories === undefined ? {} : { categories }) });
}

/** Captions need a vocabulary, which single files do not carry. */
async function tokenizerOf(
  conditioner: Conditioner,
  given: CheckpointOptions["tokenizer"],
): Promise<Tokenizer | undefined> {
  const { kind } = conditioner;
  if (kind !== "clip" && kind !== "bert") return undefined;
  invariant(
    given !== undefined,
    `tokenizer: a single-file checkpoint holds no vocabulary; give a folder that does, such as this package's weights/tokenizers/${kind}`,
  );
  const folder: Folder = typeof given === "string" || given instanceof URL ? folderFromUrl(String(given)) : given;
  const path = (await folder.open(kind === "bert" ? "bert/vocab.txt" : "clip/merges.txt")) ? kind : "";
  if (kind === "bert") return readBertTokenizer(folder, path, conditioner.config.positions);
  return readClipTokenizer(folder, path, conditioner.padding);
}
