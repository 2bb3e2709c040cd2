// The models of full.py through webldm, on the inputs that the reference had.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../../src/core/invariant.js";
import type { Device } from "../../src/gpu/device.js";
import { parseAutoencoderConfig } from "../../src/models/autoencoder.js";
import type { Checkpoint } from "../../src/pipeline/checkpoint.js";
import { uploadComponent } from "../../src/pipeline/components.js";
import type { Context } from "../../src/pipeline/conditioning.js";
import { draw, type Run } from "../../src/pipeline/draw.js";
import { decoderRequests, encoderRequests, ImageEncoder, LatentDecoder } from "../../src/pipeline/firstStage.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { Programs } from "../../src/pipeline/programs.js";
import { validate } from "../../src/pipeline/request.js";
import { settingsFor } from "../../src/pipeline/settings.js";
import { jobFromNoise } from "../../src/pipeline/tasks/fromNoise.js";
import { uploadWeights, type WeightBuffers } from "../../src/pipeline/upload.js";
import { SlotPool } from "../../src/plan/pool.js";
import { openComponent } from "../../src/weights/checkpoint.js";
import { folderFromPath, fromFile } from "../../src/weights/node.js";
import { firstChannels, type StoredReference, type Values } from "./stored.js";
import { unetForward } from "./unetForward.js";

/** Results by the names that full.py gives them. */
export type Results = ReadonlyMap<string, Float32Array>;

export type DType = "f32" | "f16";

/** Loads a model, runs it, and frees it. */
export const runModel = (device: Device, dtype: DType, stored: StoredReference): Promise<Results> =>
  stored.has("in.timestep") ? runWhole(device, dtype, stored) : runFirstStage(device, dtype, stored);

/** What the results of a run stand beside. Of `moments` the mean alone: the rest is for samples, which draw noise. */
export async function expected(stored: StoredReference, name: string, dtype = "float32"): Promise<Values> {
  const values = await stored.values(`${dtype}.${name}`);
  return name === "moments" ? firstChannels(values, values.shape.at(-1)! / 2) : values;
}

/** One evaluation of the denoiser, and a picture from the reference's ids and latent, by the product's own loop. */
async function runWhole(device: Device, dtype: DType, stored: StoredReference): Promise<Results> {
  const checkpoint = await openStored(stored.folder);
  const settings = await settingsFor(device, dtype);
  const weights = await uploadComponent(device, checkpoint, "unet", settings);
  const programs = new Programs(device, settings, checkpoint, new Map([["unet", weights]]));
  try {
    const results = new Map<string, Float32Array>();
    const latent = await stored.values("in.latent");
    const [timestep] = await stored.ids("in.timestep");
    const context = await stored.values(stored.has("in.context") ? "in.context" : "float32.context");
    const given = { latent, timestep: timestep!, context };
    results.set("epsilon", await unetForward(device, checkpoint.config.unet, weights, settings, given));

    const conditions = await contextOf(stored);
    if (conditions.ids) {
      const encoder = await programs.contextEncoder(2);
      encoder.encode(conditions.ids);
      results.set("context", (await encoder.read()).subarray(context.values.length)); // the unconditional comes first
    }
    for (const [name, values] of await picture(programs, checkpoint, stored, latent, conditions)) {
      results.set(name, values);
    }
    return results;
  } finally {
    programs.dispose();
  }
}

async function picture(
  programs: Programs,
  checkpoint: Checkpoint,
  stored: StoredReference,
  latent: Values,
  context: Context,
): Promise<Results> {
  const { steps, guidance, timesteps = [] } = stored.facts;
  const [images, height, width] = latent.shape as [number, number, number];
  const { sizeMultiple, config } = checkpoint;
  const request = {
    steps,
    ...(guidance === undefined ? {} : { guidance }),
    width: width * sizeMultiple,
    height: height * sizeMultiple,
    seed: 0,
    sampler: "ddim",
  } as const;
  const visited: number[] = [];
  const run: Run = {
    task: "picture",
    settings: validate(request, checkpoint),
    options: { onStep: ({ timestep }) => void visited.push(timestep) },
    started: performance.now(),
    check: () => programs.device.check(),
  };
  const conditioning = { context: { values: new Float32Array(config.unet.contextWidth ?? 0) } };
  const job = { ...jobFromNoise(programs, run, request, conditioning), context, start: { values: latent.values } };
  await draw(programs, job);
  invariant(
    visited.join() === timesteps.join(),
    `${stored.facts.model}: the sampler visits timesteps ${visited.join()}, the reference ${timesteps.join()}`,
  );
  const denoiser = await programs.denoiser({
    images,
    height,
    width,
    guided: context.guided,
    guidanceRescale: false,
    contextLength: context.length,
    noise: "torch",
    stepNoise: job.path.draws,
    thresholding: false,
    registers: job.path.registers,
  });
  const decoder = await programs.decoder({ images, height, width });
  invariant(decoder instanceof LatentDecoder, `${stored.facts.model}: the model has no first stage`);
  const scale = config.firstStage?.scalingFactor ?? 1;
  return new Map([
    ["decoder_input", (await denoiser.readLatent()).map((x) => x / scale)],
    ["image", await decoder.readImage()],
  ]);
}

/** The reference's ids, which webldm encodes too, or its context where it had no encoder. */
async function contextOf(stored: StoredReference): Promise<Context> {
  const common = { guided: true, warnings: [] };
  if (stored.facts.context?.startsWith("random")) {
    const [negative, positive] = [await stored.values("in.negative_context"), await stored.values("in.context")];
    const values = Float32Array.from([...negative.values, ...positive.values]);
    return { ...common, length: positive.shape[1]!, values };
  }
  const ids = [await stored.ids("in.negative_ids"), await stored.ids("in.ids")];
  return { ...common, length: ids[0]!.length, ids };
}

/** A folder in diffusers layout, or one file under the original names beside its configuration. */
async function openStored(folder: string): Promise<Checkpoint> {
  if (existsSync(join(folder, "model_index.json"))) return openCheckpoint(await folderFromPath(folder));
  const config: unknown = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  // Ids are given, but a model of text is not opened without a vocabulary.
  const tokenizer = await folderFromPath("weights/tokenizers");
  return openCheckpoint(await fromFile(join(folder, "model.safetensors")), { config, tokenizer });
}

/** A first stage by itself: the mean that it encodes a picture to, and a latent decoded; neither scaled. */
async function runFirstStage(device: Device, dtype: DType, stored: StoredReference): Promise<Results> {
  const folder = await folderFromPath(stored.folder);
  const json: unknown = JSON.parse(readFileSync(join(stored.folder, "config.json"), "utf8"));
  const config = { ...parseAutoencoderConfig(json, `${stored.folder}/config.json`), scalingFactor: 1, shiftFactor: 0 };
  const tensors = await openComponent(folder, "");
  const settings = await settingsFor(device, dtype);
  const pool = new SlotPool(device);
  const held: { dispose(): void }[] = [pool];
  const keep = <T extends { dispose(): void }>(thing: T): T => {
    held.unshift(thing);
    return thing;
  };
  const load = async (requests: Parameters<typeof uploadWeights>[1]): Promise<WeightBuffers> =>
    keep(await uploadWeights(device, requests, tensors, { component: "vae", ignore: () => true }));
  const half = ({ shape }: Values) => ({ images: shape[0]!, height: shape[1]!, width: shape[2]! });
  try {
    const image = await stored.values("in.image");
    const latent = await stored.values("in.latent");
    const encoding = await load(encoderRequests(config, settings));
    const encoder = keep(await ImageEncoder.compile(device, config, encoding, pool, settings, half(image)));
    encoder.encode(image.values, { scaled: false });
    const moments = await encoder.readLatent();

    const decoding = await load(decoderRequests(config, settings));
    const decoder = keep(await LatentDecoder.compile(device, config, decoding, pool, settings, half(latent)));
    const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const buffer = device.buffer("latent", latent.values.byteLength, usage);
    keep({ dispose: () => buffer.destroy() });
    device.gpu.queue.writeBuffer(buffer, 0, latent.values);
    await decoder.decode(buffer);
    return new Map([
      ["moments", moments],
      ["decoded", await decoder.readImage()],
    ]);
  } finally {
    for (const thing of held) thing.dispose();
  }
}
