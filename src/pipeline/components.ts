import { invariant } from "../core/invariant.js";
import type { Device } from "../gpu/device.js";
import type { GraphOptions, WeightRequest } from "../graph/graph.js";
import { decodeLatent } from "../models/autoencoder.js";
import type { StoredTensor } from "../weights/safetensors.js";
import type { Checkpoint, Store } from "./checkpoint.js";
import { contextGraph, recorderOf } from "./contextEncoder.js";
import { decoderGraph } from "./decoderGraph.js";
import { type DenoiseShape, denoiseGraph } from "./denoiser.js";
import { contextLength, latentFactor, type ModelConfig } from "./modelConfig.js";
import { compareWeights, uploadWeights, type WeightBuffers } from "./upload.js";

/** Parts of a checkpoint that are loaded by themselves. */
export type Component = "conditioner" | "unet" | "decoder" | "encoder" | "rescaler" | "preview";

/** The store of each part. */
export const storeOf: Readonly<Record<Component, Store>> = {
  conditioner: "text_encoder",
  unet: "unet",
  decoder: "vae",
  encoder: "vae",
  rescaler: "rescaler",
  preview: "preview",
};

/** How a part is recorded. The upscaler's first stage overflows float16: its reference, too, computes it in float32. */
export function settingsOf(component: Component, { concat }: ModelConfig, settings: GraphOptions): GraphOptions {
  const firstStage = component === "decoder" || component === "encoder";
  return firstStage && concat.kind === "lowResolution" ? { ...settings, dtype: "f32" } : settings;
}

type Opened = Pick<Checkpoint, "config" | "stored" | "preview">;

/** The parts that every request needs; the others are loaded when they are first asked for. */
export function neededComponents({ config, preview }: Opened): Component[] {
  const { kind } = config.conditioner;
  return [
    ...(kind === "none" || kind === "embeddings" ? [] : (["conditioner"] as const)),
    "unet",
    ...(config.firstStage ? (["decoder"] as const) : []),
    ...(config.concat.kind === "segmentation" && config.concat.config.outChannels ? (["rescaler"] as const) : []),
    ...(preview ? (["preview"] as const) : []),
  ];
}

/** Names and shapes of the weights of a part. They do not depend on the size of pictures. */
export async function requestsOf(
  component: Component,
  { config, preview }: Opened,
  settings: GraphOptions,
): Promise<WeightRequest[]> {
  const whole = { ...settings, maxBinding: Number.POSITIVE_INFINITY };
  switch (component) {
    case "conditioner":
      return contextGraph(config, 1, whole, await recorderOf(config.conditioner)).graph.requests();
    case "unet":
      return denoiseGraph(config, smallestShape(config), whole).graph.requests();
    case "decoder":
      return decoderGraph(
        firstStageOf(config),
        { images: 1, height: 1, width: 1 },
        whole,
        decodeLatent,
      ).graph.requests();
    case "encoder":
      return (await import("./firstStageRequests.js")).encoderRequests(firstStageOf(config), whole);
    case "preview":
      return preview ? (await import("./firstStageRequests.js")).decoderRequests(preview.config, whole) : [];
    case "rescaler":
      return config.concat.kind === "segmentation"
        ? (await import("./rescaler.js")).rescalerGraph(config.concat.config, [1, 1, 1], whole).graph.requests()
        : [];
  }
}

function firstStageOf({ firstStage }: ModelConfig) {
  invariant(firstStage, "the model has no first stage: it works on pixels");
  return firstStage;
}

/** A request of the training's size, one picture. */
export function smallestShape(config: ModelConfig): DenoiseShape {
  const { sampleSize } = config.unet;
  return {
    images: 1,
    height: sampleSize,
    width: sampleSize,
    guided: false,
    guidanceRescale: false,
    contextLength: contextLength(config) ?? 1,
    noise: "torch",
    stepNoise: false,
    thresholding: false,
    registers: 0,
  };
}

/** @throws WebldmError that names tensors that are missing, too many, or of another shape */
export async function checkComponent(component: Component, checkpoint: Opened, settings: GraphOptions): Promise<void> {
  const requests = await requestsOf(component, checkpoint, settings);
  compareWeights(requests, tensorsOf(component, checkpoint), {
    component: storeOf[component],
    ignore: unusedBy(component),
  });
}

/** Streams the weights of a part to the device. */
export async function uploadComponent(
  device: Device,
  checkpoint: Opened,
  component: Component,
  settings: GraphOptions,
  options: { readonly onBytes?: (bytes: number) => void; readonly signal?: AbortSignal } = {},
): Promise<WeightBuffers> {
  const requests = await requestsOf(component, checkpoint, settings);
  return uploadWeights(device, requests, tensorsOf(component, checkpoint), {
    ...options,
    component: storeOf[component],
    ignore: unusedBy(component),
  });
}

/** Bytes of a part in its files. */
export async function storedBytes(component: Component, checkpoint: Opened, settings: GraphOptions): Promise<number> {
  const stored = tensorsOf(component, checkpoint);
  return (await requestsOf(component, checkpoint, settings)).reduce((sum, { name }) => {
    const tensor = stored.get(name);
    return sum + (tensor ? tensor.end - tensor.begin : 0);
  }, 0);
}

function tensorsOf(component: Component, { stored }: Opened): ReadonlyMap<string, StoredTensor> {
  return stored[storeOf[component]] ?? new Map();
}

/** Tensors that lie beside a part and that it has no use for: the other half of an autoencoder, a head of training. */
const unused: Readonly<Partial<Record<Component, RegExp>>> = {
  conditioner: /^(to_logits\.|text_projection\.weight$)/,
  decoder: /^(encoder|quant_conv)\./,
  encoder: /^(decoder|post_quant_conv|quantize)\./,
  preview: /^encoder\./,
};

const unusedBy = (component: Component) => (name: string) => unused[component]?.test(name) ?? false;

/** Pixels of a picture's side that the networks halve: sides are multiples of it. */
export const sizeMultipleOf = (config: ModelConfig): number => latentFactor(config);
