import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { decodeLatent } from "./autoencoder.js";
import { type AutoencoderConfig, parseAutoencoderConfig } from "./autoencoderConfig.js";
import { encodeMoments } from "./autoencoderEncoder.js";
import { decodeTiny, encodeTiny, parseTinyAutoencoderConfig, type TinyAutoencoderConfig } from "./tinyAutoencoder.js";

/** Any first stage: pictures to latents and back. */
export type FirstStageConfig = AutoencoderConfig | TinyAutoencoderConfig;

/** Reads a `config.json` by the class it names: AutoencoderKL, VQModel or AutoencoderTiny. */
export function parseFirstStageConfig(json: unknown, file = "vae/config.json"): FirstStageConfig {
  const tiny = (json as { _class_name?: unknown } | null)?._class_name === "AutoencoderTiny";
  return tiny ? parseTinyAutoencoderConfig(json, file) : parseAutoencoderConfig(json, file);
}

/** Channels of what {@link encodePicture} gives: mean and log-variance of a KL first stage, else the latent. */
export const codeChannels = ({ kind, latentChannels }: FirstStageConfig): number =>
  kind === "kl" ? 2 * latentChannels : latentChannels;

/** Picture [N, H, W, 3] in [-1, 1] to its code [N, H/f, W/f, {@link codeChannels}] in f32, without scaling factor. */
export const encodePicture = (w: Scope, image: Tensor, config: FirstStageConfig): Tensor =>
  config.kind === "tiny" ? encodeTiny(w, image, config) : encodeMoments(w, image, config);

/** Latent [N, h, w, C] (f32) without scaling factor to a picture [N, f * h, f * w, 3], not clamped, in f32. */
export const decodePicture = (w: Scope, latent: Tensor, config: FirstStageConfig): Tensor =>
  config.kind === "tiny" ? decodeTiny(w, latent, config) : decodeLatent(w, latent, config);
