import { invariant, UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import type { UNetLayout } from "./unetLayout.js";
import type { HeadRule } from "./zoo.js";

/** A class that the original code's YAML names, with its arguments. */
export interface OriginalPart {
  /** Last name of the target: "UNetModel", "AutoencoderKL"; or the special names such as "__is_first_stage__". */
  readonly target: string;
  readonly params: Fields;
}

/** What the YAML of a whole model says beside what the tensors show. */
export interface OriginalConfig {
  readonly target: string;
  readonly unet: OriginalPart;
  readonly firstStage: OriginalPart | undefined;
  readonly conditioner: OriginalPart | undefined;
  /** How the x4 upscaler's low-resolution picture is noised. */
  readonly lowScale: OriginalPart | undefined;
  readonly params: Fields;
  /** Arguments of the text model where the file gives them beside the original configuration. */
  readonly textModel: Fields | undefined;
}

const file = "configuration of the original code";

/** Reads the parsed YAML of a model (`model: target: ... params: ...`), or what is below `model`. */
export function readOriginalConfig(json: unknown): OriginalConfig {
  const root = new Fields(json, file);
  const model = part(root.raw("model") ?? json, "model");
  const { params } = model;
  const text = root.raw("text_model_config");
  const one = (name: string): OriginalPart | undefined => {
    const value = params.raw(name);
    return value === undefined ? undefined : part(value, name);
  };
  const unet = one("unet_config");
  invariant(unet, `${file}: unet_config is missing`);
  return {
    target: model.target,
    unet,
    firstStage: one("first_stage_config"),
    conditioner: one("cond_stage_config"),
    lowScale: one("low_scale_config"),
    params,
    textModel: text === undefined ? undefined : new Fields(text, `${file}: text_model_config`),
  };
}

/** A UNet's own configuration, `{ target, params }`, or that inside a whole model's. */
export function readUNetConfig(json: unknown): OriginalPart {
  const root = new Fields(json, file);
  return root.raw("model") === undefined && root.raw("unet_config") === undefined && !/diffusion/i.test(target(root))
    ? part(json, "unet_config")
    : readOriginalConfig(json).unet;
}

/** The scale of latents that a configuration states: that of a whole model, with the default of its class. */
export function readScale(json: unknown): number | undefined {
  const { params } = part(new Fields(json, file).raw("model") ?? json, "model");
  return params.raw("unet_config") === undefined ? undefined : params.number("scale_factor", 1);
}

/** Whether each level's self-attention is to the context as well, where the configuration says so. */
export function statedCrossOnly({ params: f }: OriginalPart, levels: number): readonly boolean[] | undefined {
  if (f.boolean("disable_middle_self_attn", false)) {
    throw new UnsupportedError(`${f.file}: disable_middle_self_attn is not supported yet`);
  }
  const stated = f.raw("disable_self_attentions");
  if (stated === undefined) return undefined;
  invariant(
    Array.isArray(stated) && stated.length === levels && stated.every((item) => typeof item === "boolean"),
    () => `${f.file}: disable_self_attentions is ${JSON.stringify(stated)}, expected ${levels} of true or false`,
  );
  return stated as boolean[];
}

const target = (fields: Fields): string =>
  String(fields.raw("target") ?? "")
    .split(".")
    .at(-1)!;

function part(value: unknown, name: string): OriginalPart {
  if (typeof value === "string") return { target: value, params: new Fields({}, `${file}: ${name}`) };
  const fields = new Fields(value, `${file}: ${name}`);
  return { target: target(fields), params: new Fields(fields.raw("params") ?? {}, `${file}: params of ${name}`) };
}

/**
 * How the UNet's configuration splits channels into heads. `legacy` changes how the original code arrives there, not
 * where (the products are the same wherever it runs at all).
 * @throws WebldmError where the configuration belongs to another UNet than the tensors
 */
export function headRule({ params: f }: OriginalPart, layout: UNetLayout): HeadRule & { readonly newOrder: boolean } {
  // Without, pooling and copying have no tensors that would tell where levels end.
  if (!f.boolean("conv_resample", true)) {
    throw new UnsupportedError(`${f.file}: conv_resample is false, which is not supported yet`);
  }
  const { modelChannels, channels, resBlocks, inChannels, outChannels } = layout;
  const facts: readonly [string, unknown][] = [
    ["model_channels", modelChannels],
    ["in_channels", inChannels],
    ["out_channels", outChannels],
    ["num_res_blocks", resBlocks],
    ["channel_mult", channels.map((c) => c / modelChannels)],
  ];
  for (const [name, actual] of facts) {
    const stated = f.raw(name) ?? (name === "channel_mult" ? [1, 2, 4, 8] : undefined);
    invariant(
      JSON.stringify(stated) === JSON.stringify(actual),
      () => `${f.file}: ${name} is ${JSON.stringify(stated)}, the tensors show ${JSON.stringify(actual)}`,
    );
  }
  const newOrder = f.boolean("use_new_attention_order", false);
  const heads = f.number("num_heads", -1);
  const headChannels = f.number("num_head_channels", -1);
  const up = f.number("num_heads_upsample", -1);
  if (up !== -1 && up !== heads) {
    throw new UnsupportedError(`${f.file}: num_heads_upsample is ${up}, which is not supported yet`);
  }
  if (headChannels !== -1) return { headChannels: f.count("num_head_channels"), newOrder };
  invariant(heads !== -1, `${f.file}: num_heads or num_head_channels is missing`);
  return { heads: f.count("num_heads"), newOrder };
}

/** The number of heads of an attention over some channels. */
export const headsOf =
  (rule: HeadRule) =>
  (channels: number): number => {
    if ("heads" in rule) return rule.heads;
    invariant(
      channels % rule.headChannels === 0,
      `UNet: ${channels} channels do not split into heads of ${rule.headChannels}`,
    );
    return channels / rule.headChannels;
  };

/** How conditions reach the UNet (`DiffusionWrapper`). */
export type ConditioningKey = "none" | "concat" | "crossattn" | "hybrid" | "adm" | "hybrid-adm";

export function conditioningKey({ params, conditioner }: OriginalConfig): ConditioningKey {
  if (conditioner?.target === "__is_unconditional__") return "none";
  const stated = params.raw("conditioning_key");
  const key = stated ?? (params.boolean("concat_mode", true) ? "concat" : "crossattn");
  const known = ["concat", "crossattn", "hybrid", "adm", "hybrid-adm"] as const;
  const found = known.find((name) => name === key);
  if (!found) throw new UnsupportedError(`${params.file}: conditioning_key ${String(key)} is not supported yet`);
  return found;
}
