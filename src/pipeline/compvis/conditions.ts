import { invariant, UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { renamed } from "../../weights/view.js";
import { type ConditioningKey, conditioningKey, type OriginalConfig } from "./originalConfig.js";
import { statedSchedule } from "./schedule.js";
import { bertNames, clipNames, openClipNames } from "./textNames.js";
import type { Part, TranslatedConcat, TranslatedConditioner } from "./types.js";
import type { UNetLayout } from "./unetLayout.js";

type Tensors = ReadonlyMap<string, StoredTensor>;

/** What is known of a checkpoint when its conditions are sorted out. */
export interface Known {
  readonly config: OriginalConfig | undefined;
  readonly layout: UNetLayout;
  /** `cond_stage_model.*` without the prefix. */
  readonly stage: Tensors;
  /** Picture pixels per latent pixel along a side. */
  readonly factor: number;
}

/** Tokens of a layout: 30 objects of 3 and 2 of the crop. */
const layoutTokens = 92;

export function conditionerOf({ config, layout, stage }: Known): TranslatedConditioner {
  const { transformer } = layout;
  if (!transformer) return { kind: "none" };
  const { contextWidth: width } = transformer;
  const key = config && conditioningKey(config);
  if (key !== undefined && key !== "crossattn" && key !== "hybrid" && key !== "hybrid-adm") {
    throw new UnsupportedError(
      `the UNet attends to a context of ${width} channels, conditioning_key ${key} gives none`,
    );
  }
  const has = (pattern: RegExp) => [...stage.keys()].some((name) => pattern.test(name));
  const heads = config?.textModel?.count("num_attention_heads");
  const stated = heads === undefined ? {} : { heads };
  if (has(/^model\.transformer\.resblocks\./)) {
    const layer = config?.conditioner?.params.oneOf("layer", ["penultimate", "last"], "penultimate") ?? "penultimate";
    if (layer !== "penultimate") throw new UnsupportedError(`a text encoder's layer ${layer} is not supported yet`);
    return { kind: "clip", part: openClipNames(stage, { penultimate: true, ...stated }), padWithZero: true };
  }
  if (stage.has("transformer.token_emb.weight")) {
    const part = bertNames(stage);
    const boxes = config
      ? config.params.raw("cond_stage_key") === "coordinates_bbox"
      : stage.get("transformer.pos_emb.emb.weight")?.shape[0] === layoutTokens;
    return { kind: boxes ? "boxes" : "bert", part };
  }
  if (has(/^transformer\.(text_model|embeddings|encoder)\./)) {
    return { kind: "clip", part: clipNames(stage, stated), padWithZero: false };
  }
  const classes = stage.get("embedding.weight");
  if (classes) {
    const [n_classes, embed_dim] = classes.shape;
    const tensors = new Map([["embedding.weight", renamed(classes, "embedding.weight")]]);
    return { kind: "class", part: { config: { n_classes, embed_dim }, tensors } };
  }
  const target = config?.conditioner?.target;
  invariant(
    stage.size === 0 && (target === undefined || target === "Identity"),
    () =>
      `the UNet attends to a context of ${width} channels; what makes it (${target ?? "cond_stage_model"}) is ` +
      "missing from the file or not supported yet",
  );
  return { kind: "embeddings", width };
}

export function concatOf(known: Known, scheduler: Record<string, unknown>): TranslatedConcat {
  const { config, layout, stage } = known;
  const { inChannels, outChannels, transformer, labels } = layout;
  const extra = inChannels - outChannels;
  const key = config && conditioningKey(config);
  const joins: readonly ConditioningKey[] = ["concat", "hybrid", "hybrid-adm"];
  if (key !== undefined && joins.includes(key) !== extra > 0) {
    throw new UnsupportedError(
      `conditioning_key is ${key}, the UNet takes ${inChannels} channels and gives ${outChannels}`,
    );
  }
  if (extra === 0) return { kind: "none" };
  if (stage.has("channel_mapper.weight") || config?.conditioner?.target === "SpatialRescaler") {
    return { kind: "segmentation", part: rescaler(known) };
  }
  if (!transformer) {
    if (extra === outChannels + 1) return { kind: "maskedImage" };
    if (extra === 3) return { kind: "image", channels: extra };
  } else if (labels !== undefined && extra === 3) {
    return lowResolution(config, labels, scheduler);
  } else if (labels === undefined) {
    if (extra === outChannels + 1) return { kind: "inpaint" };
    if (extra === 1) return { kind: "depth" };
  }
  throw new UnsupportedError(
    `a UNet of ${inChannels} channels in and ${outChannels} out: what joins the latent is not supported yet`,
  );
}

/** SpatialRescaler: as many halvings as the first stage makes, unless the configuration says otherwise. */
function rescaler({ config, stage, factor }: Known): Part {
  const params = config?.conditioner?.params;
  const mapper = stage.get("channel_mapper.weight");
  const tensors = new Map(
    ["channel_mapper.weight", "channel_mapper.bias"].flatMap((name) => {
      const tensor = stage.get(name);
      return tensor ? [[name, renamed(tensor, name)] as const] : [];
    }),
  );
  return {
    config: {
      n_stages: params ? params.number("n_stages", 1) : Math.log2(factor),
      multiplier: params?.number("multiplier", 0.5) ?? 0.5,
      method: params?.raw("method") ?? "bilinear",
      in_channels: mapper?.shape[1] ?? params?.count("in_channels", 3),
      ...(mapper ? { out_channels: mapper.shape[0] } : {}),
      bias: tensors.has("channel_mapper.bias"),
    },
    tensors,
  };
}

/** The original demo and diffusers stop at level 350, though the table has more rows. */
const usualLargest = 350;

function lowResolution(
  config: OriginalConfig | undefined,
  labels: number,
  scheduler: Record<string, unknown>,
): TranslatedConcat {
  const params = config?.lowScale?.params;
  const largest = params?.count("max_noise_level", labels - 1) ?? usualLargest;
  // The published model noises the picture by the latent's own schedule.
  const stated = params?.raw("noise_schedule_config");
  const noising = stated === undefined ? scheduler : statedSchedule(new Fields(stated, "noise_schedule_config"));
  return {
    kind: "lowResolution",
    noiseLevels: Math.min(labels, largest + 1),
    scheduler: { ...noising, prediction_type: "epsilon" },
  };
}
