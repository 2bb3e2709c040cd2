import { invariant, UnsupportedError } from "../core/invariant.js";
import type { UNetConfig } from "../models/unetConfig.js";
import type { Conditioner, ModelConfig } from "./modelConfig.js";

/**
 * Latents are not confined to a range: ours are never clipped. The reference's Stable Diffusion pipelines switch clipping off
 * whatever the file says; its others would follow the file.
 */
export function unclipped({ clipRange: _clip, ...scheduler }: ModelConfig["scheduler"]): ModelConfig["scheduler"] {
  return scheduler;
}

/** Refuses a text encoder whose context is not what the denoiser attends to. */
export function checkContext(name: string, unet: UNetConfig, conditioner: Conditioner): void {
  const width = contextWidth(conditioner);
  invariant(
    unet.contextWidth === width,
    `${name}: the UNet expects a context of ${unet.contextWidth ?? 0} channels, the conditioner gives ${width ?? 0}`,
  );
  if (unet.labels && unet.labels.kind !== "table") {
    throw new UnsupportedError(`${name}: class embeddings of the kind ${unet.labels.kind} belong to no task yet`);
  }
}

/** Refuses class labels that no task would give: beside a context only the upscaler has them, for its noise level. */
export function checkLabels(name: string, { unet, conditioner, concat }: ModelConfig): void {
  if (unet.labels && conditioner.kind !== "none" && concat.kind !== "lowResolution") {
    throw new UnsupportedError(`${name}: the UNet takes class labels beside a context, which no task gives yet`);
  }
}

function contextWidth(conditioner: Conditioner): number | undefined {
  switch (conditioner.kind) {
    case "none":
      return undefined;
    case "clip":
    case "bert":
    case "boxes":
      return conditioner.config.width;
    case "class":
    case "embeddings":
      return conditioner.width;
  }
}
