// Tiles as the reference cuts and blends them: encoded moments and a decoded picture that no tile divides.
import { expect } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import type { Device } from "../../src/gpu/device.js";
import { parseFirstStageConfig } from "../../src/models/firstStage.js";
import { decoderRequests, encoderRequests, ImageEncoder, LatentDecoder } from "../../src/pipeline/firstStage.js";
import { toChannelsLast } from "../../src/pipeline/noiseStream.js";
import { uploadWeights } from "../../src/pipeline/upload.js";
import { graphOptions } from "../../src/plan/options.js";
import { SlotPool } from "../../src/plan/pool.js";
import { fromBlob } from "../../src/weights/blob.js";
import { openSafetensors } from "../../src/weights/safetensors.js";
import { forCases, pack, upload } from "../harness/gpu.js";
import { shapesOf } from "./seededModel.js";
import { psnr, SeededTask } from "./seededTask.js";
import { seededFile } from "./seededTensors.js";

const least = { f32: 100, f16: 50 };

/** Compiles and runs one half of the first stage of a stored task. */
async function half<T>(
  name: "decoder" | "encoder",
  { stored }: SeededTask,
  { device, dtype }: { readonly device: Device; readonly dtype: DType },
  work: (parts: Parameters<typeof LatentDecoder.compile>, trash: { dispose(): void }[]) => Promise<T>,
  size: { readonly height: number; readonly width: number },
): Promise<T> {
  const { config: json } = stored.models["vae"]!;
  // The reference encodes and decodes without the scale that pipelines apply.
  const config = parseFirstStageConfig({ ...json, scaling_factor: 1 });
  const settings = graphOptions(device, dtype as "f32" | "f16");
  const requests = (name === "decoder" ? decoderRequests : encoderRequests)(config, settings);
  const { tensors } = await openSafetensors(fromBlob(seededFile("vae", shapesOf("vae", json)).blob));
  const weights = await uploadWeights(device, requests, tensors, { component: "vae", ignore: () => true });
  const pool = new SlotPool(device);
  const trash: { dispose(): void }[] = [weights, pool];
  try {
    const tiled = { images: 1, ...size, tile: stored.tiling.tile_latent_min_size };
    return await work([device, config, weights, pool, settings, tiled], trash);
  } finally {
    for (const thing of trash.reverse()) thing.dispose();
  }
}

forCases(
  "tiles of the reference",
  ["tiled", "tiled_wide"],
  (name) => `decode: ${name}`,
  async ({ device, dtype, item }) => {
    const task = await SeededTask.read(item);
    const [, channels, height, width] = task.of("latent").shape as [number, number, number, number];
    const latent = toChannelsLast(task.input("latent"), [1, height, width, channels]);
    const image = await half(
      "decoder",
      task,
      { device, dtype },
      async (parts, trash) => {
        const decoder = await LatentDecoder.compile(...parts);
        const buffer = upload(device, "latent", pack(latent, "f32"));
        trash.push(decoder, { dispose: () => buffer.destroy() });
        await decoder.decode(buffer);
        expect(decoder.plans.length).toBeGreaterThan(1);
        return decoder.readImage();
      },
      { height, width },
    );
    expect(psnr(image, task.output("decoded"))).toBeGreaterThan(least[dtype as "f32" | "f16"]);
  },
);

forCases(
  "tiles of the reference",
  ["tiled"],
  (name) => `encode: ${name}`,
  async ({ device, dtype, item }) => {
    const task = await SeededTask.read(item);
    const { height, width, values } = task.image();
    const moments = task.output("moments");
    const [, rows, columns, channels] = moments.shape as [number, number, number, number];
    const each = Array.from({ length: (rows * columns * channels) / 2 }, (_, i) => i);
    const at = (i: number) => Math.floor(i / (channels / 2)) * channels + (i % (channels / 2));
    const mean = Float32Array.from(each, (i) => moments.values[at(i)]!);
    const sample = Float32Array.from(each, (i) => mean[i]! + Math.exp(moments.values[at(i) + channels / 2]! / 2));
    const [found, sampled] = await half(
      "encoder",
      task,
      { device, dtype },
      async (parts, trash) => {
        const encoder = await ImageEncoder.compile(...parts);
        trash.push(encoder);
        const encode = (noise?: Float32Array<ArrayBuffer>) => {
          encoder.encode(Float32Array.from(values), noise ? { noise } : {});
          return encoder.readLatent();
        };
        return [await encode(), await encode(new Float32Array(each.length).fill(1))] as const;
      },
      { height, width },
    );
    const shape = [1, rows, columns, channels / 2];
    expect(psnr(found, { shape, values: mean })).toBeGreaterThan(least[dtype as "f32" | "f16"]);
    expect(psnr(sampled, { shape, values: sample })).toBeGreaterThan(least[dtype as "f32" | "f16"]);
  },
);
