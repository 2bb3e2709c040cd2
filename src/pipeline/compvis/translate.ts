import { invariant, UnsupportedError, WebldmError } from "../../core/invariant.js";
import { toFloat32 } from "../../weights/decode.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { concatOf, conditionerOf } from "./conditions.js";
import { averagedWeights } from "./ema.js";
import { firstStagePart } from "./firstStage.js";
import {
  headRule,
  headsOf,
  type OriginalConfig,
  type OriginalPart,
  readOriginalConfig,
  readScale,
  readUNetConfig,
  statedCrossOnly,
} from "./originalConfig.js";
import { foundSchedule, statedSchedule } from "./schedule.js";
import type { Part, Translated, TranslateOptions } from "./types.js";
import { unetConfig } from "./unetConfig.js";
import { type UNetLayout, unetLayout } from "./unetLayout.js";
import { type AttentionRule, unetNames } from "./unetNames.js";
import { recognise, type ZooEntry } from "./zoo.js";

export type { Part, Translated, TranslatedConcat, TranslatedConditioner, TranslateOptions } from "./types.js";

type Tensors = ReadonlyMap<string, StoredTensor>;

const prefixes = {
  unet: "model.diffusion_model.",
  firstStage: "first_stage_model.",
  conditioner: "cond_stage_model.",
} as const;

/** Whether these are the names of a whole checkpoint of the original code. */
export const isCompvis = (tensors: Tensors): boolean => tensors.has(`${prefixes.unet}input_blocks.0.0.weight`);

/**
 * A checkpoint of the original code (LatentDiffusion) in diffusers' form: other names, views of rows, and the JSON that
 * diffusers would keep beside it. Reads a few numbers; the weights stay where they are.
 *
 * The topology follows from names and shapes. What leaves no trace in them (attention heads, the schedule where the file
 * has no `betas`, the scale of latents, what is predicted) comes from `options.config`, else from a table of the
 * published models.
 * @throws WebldmError that names the tensor or field that has no place, or says why the configuration is needed
 */
export async function translate(tensors: Tensors, options: TranslateOptions = {}): Promise<Translated> {
  const config = options.config === undefined ? undefined : readOriginalConfig(options.config);
  const raw = below(tensors, prefixes.unet);
  invariant(raw.size > 0, `expected a checkpoint of the original code, no name begins with ${prefixes.unet}`);
  const averaged = options.ema === false ? { tensors: raw, found: false } : averagedWeights(raw, tensors);
  const layout = layoutOf(averaged.tensors, config?.unet);
  const entry = recognise(layout);
  const rule = attentionRule(layout, entry, config?.unet);
  const notes: string[] = [];

  const prediction = predictionOf(config, entry, options.metadata, notes);
  const scheduler = config
    ? statedSchedule(config.params)
    : await foundSchedule(tensors.get("betas"), entry, prediction);

  const stored = below(tensors, prefixes.firstStage);
  const pixels = config?.firstStage?.target === "IdentityFirstStage";
  const beside = options.firstStageBeside === true && stored.size === 0;
  invariant(
    pixels || beside || stored.size > 0,
    `the file holds no first stage: no name begins with ${prefixes.firstStage}; give the file of one (vae)`,
  );
  const scaleFactor = await scaleOf(tensors, config, entry);
  const factor = pixels ? 1 : beside ? statedFactor(config, entry) : factorOf(stored);
  const side = sideOf(config, entry, factor, prediction);
  const firstStage = pixels
    ? undefined
    : beside
      ? placeholder(Math.log2(factor) + 1, layout.outChannels, scaleFactor)
      : firstStagePart(stored, { scaleFactor, side });
  const latent = Number(
    firstStage?.config["vq_embed_dim"] ?? firstStage?.config["latent_channels"] ?? layout.outChannels,
  );
  invariant(
    latent === layout.outChannels,
    `the UNet predicts ${layout.outChannels} channels, the first stage has latents of ${latent}`,
  );

  const known = { config, layout, stage: below(tensors, prefixes.conditioner), factor };
  return {
    name: entry?.name ?? "latent diffusion model",
    unet: { config: unetConfig(layout, rule, side / factor), tensors: unetNames(averaged.tensors, layout, rule) },
    firstStage,
    scheduler,
    conditioner: conditionerOf(known),
    concat: concatOf(known, scheduler),
    labels: layout.labels,
    ema: averaged.found,
    defaults: { ...entry?.sampling, side },
    notes,
  };
}

/**
 * A UNet alone, with or without a prefix such as `model.diffusion_model.`, in diffusers' form.
 * @param config the parsed YAML of the whole model, or of its `unet_config`; needed where the UNet is no published one
 */
export function translateUNet(tensors: Tensors, config?: unknown): Part {
  const first = "input_blocks.0.0.weight";
  const prefix = [prefixes.unet, "diffusion_model.", ""].find((before) => tensors.has(before + first));
  invariant(prefix !== undefined, `expected a UNet of the original code, ${first} is missing`);
  const own = below(tensors, prefix);
  const stated = config === undefined ? undefined : readUNetConfig(config);
  const layout = layoutOf(own, stated);
  const entry = recognise(layout);
  const rule = attentionRule(layout, entry, stated);
  const size = stated?.params.raw("image_size");
  return {
    config: unetConfig(layout, rule, typeof size === "number" ? size : 64),
    tensors: unetNames(own, layout, rule),
  };
}

/**
 * A first stage alone, as separately released autoencoders are, in diffusers' form: names with the prefix
 * `first_stage_model.` or without one. The JSON has a `scaling_factor` only where the file or the configuration (parsed
 * YAML of a whole model; that of a first stage says nothing of it) does: one that is swapped in keeps that of the model.
 */
export async function translateFirstStage(tensors: Tensors, config?: unknown): Promise<Part> {
  const first = "encoder.conv_in.weight";
  const prefix = [prefixes.firstStage, ""].find((before) => tensors.has(before + first));
  invariant(prefix !== undefined, `expected a first stage of the original code, ${first} is missing`);
  const scale = tensors.get("scale_factor");
  const scaleFactor = scale ? await scalar(scale) : config === undefined ? undefined : readScale(config);
  const own = new Map([...below(tensors, prefix)].filter(([name]) => name !== "scale_factor"));
  return firstStagePart(own, scaleFactor === undefined ? {} : { scaleFactor });
}

/** Tensors whose name begins with a prefix, by the rest of it. */
function below(tensors: Tensors, prefix: string): Tensors {
  return new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor] as const),
  );
}

/** The topology that the tensors show; where the context is as wide as a level, the configuration tells more. */
function layoutOf(tensors: Tensors, config: OriginalPart | undefined): UNetLayout {
  const layout = unetLayout(tensors);
  const { transformer, channels } = layout;
  const crossOnly = transformer && config && statedCrossOnly(config, channels.length);
  return crossOnly ? { ...layout, transformer: { ...transformer, crossOnly } } : layout;
}

function attentionRule(
  layout: UNetLayout,
  entry: ZooEntry | undefined,
  config: OriginalPart | undefined,
): AttentionRule {
  if (config) {
    const { newOrder, ...rule } = headRule(config, layout);
    return { heads: headsOf(rule), newOrder };
  }
  if (entry) return { heads: headsOf(entry.rule), newOrder: false };
  const { modelChannels, channels, transformer } = layout;
  const context = transformer ? `, context ${transformer.contextWidth}` : "";
  throw new WebldmError(
    `the UNet (model_channels ${modelChannels}, levels of ${channels.join(", ")} channels${context}) is none of the ` +
      "published ones, and weights do not show how many heads attention has: give the original configuration (YAML)",
  );
}

/** What the UNet was trained to predict, where no configuration says so. */
function predictionOf(
  config: OriginalConfig | undefined,
  entry: ZooEntry | undefined,
  metadata: ReadonlyMap<string, string> | undefined,
  notes: string[],
): string {
  if (config) return config.params.raw("parameterization") === "v" ? "v_prediction" : "epsilon";
  const stated = statedPredictions.get(metadata?.get("modelspec.prediction_type") ?? "");
  if (stated !== undefined) return stated;
  if (!entry) return "epsilon";
  if (entry.prediction !== "either") return entry.prediction;
  // The weights do not tell; the base model was released after this step.
  const step = metadata?.get("global_step");
  const prediction = Number(step) === 875000 ? "epsilon" : "v_prediction";
  const why = step === undefined ? "the file does not say what it predicts" : `global_step ${step}`;
  notes.push(
    `${entry.name}: taken for a model of ${prediction === "epsilon" ? "noise (epsilon)" : "v"} (${why}); ` +
      "give the original configuration if pictures come out as noise",
  );
  return prediction;
}

/** What trainers that follow Stability's specification of metadata write into safetensors, and the longer word of others. */
const statedPredictions: ReadonlyMap<string, string> = new Map([
  ["epsilon", "epsilon"],
  ["v", "v_prediction"],
  ["v_prediction", "v_prediction"],
]);

/** In the file where training measured it, else in the configuration, else in the table. */
async function scaleOf(tensors: Tensors, config: OriginalConfig | undefined, entry: ZooEntry | undefined) {
  const stored = tensors.get("scale_factor");
  if (stored) return scalar(stored);
  return config ? config.params.number("scale_factor", 1) : (entry?.scaleFactor ?? 1);
}

async function scalar({ name, source, begin, end, dtype, shape }: StoredTensor): Promise<number> {
  const [value, ...more] = toFloat32(await source.read(begin, end), dtype);
  if (value === undefined || more.length > 0) {
    throw new UnsupportedError(`${name}: expected one number, got shape [${shape.join(", ")}]`);
  }
  return value;
}

/** Picture pixels per latent pixel along a side. */
function factorOf(firstStage: Tensors): number {
  const halvings = [...firstStage.keys()].filter((name) => /^encoder\.down\.\d+\.downsample\.conv\.weight$/.test(name));
  return 2 ** halvings.length;
}

/** The same where the file has no first stage. All of Stable Diffusion's have three halvings, but for the upscaler's. */
function statedFactor(config: OriginalConfig | undefined, entry: ZooEntry | undefined): number {
  const { ch_mult } = (config?.firstStage?.params.raw("ddconfig") ?? {}) as { ch_mult?: unknown };
  if (Array.isArray(ch_mult)) return 2 ** (ch_mult.length - 1);
  return entry?.name === "Stable Diffusion x4 upscaler" ? 4 : 8;
}

/** Holds the place, and the scale of latents, for a first stage that is put beside the file. */
const placeholder = (levels: number, latent_channels: number, scaling_factor: number): Part => {
  const each = <T>(value: T): T[] => new Array<T>(levels).fill(value);
  const config = {
    _class_name: "AutoencoderKL",
    block_out_channels: each(32),
    down_block_types: each("DownEncoderBlock2D"),
    up_block_types: each("UpDecoderBlock2D"),
    latent_channels,
    scaling_factor,
  };
  return { config, tensors: new Map() };
};

/** Side of the training pictures. The YAML of Stable Diffusion 2's v model still states the size of its base. */
function sideOf(
  config: OriginalConfig | undefined,
  entry: ZooEntry | undefined,
  factor: number,
  prediction: string,
): number {
  if (entry?.prediction === "either" && prediction === "v_prediction") return 768;
  const size = config?.params.raw("image_size");
  return typeof size === "number" ? size * factor : (entry?.side ?? 64 * factor);
}
