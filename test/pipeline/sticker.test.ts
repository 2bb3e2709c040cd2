// The embedded model against tensors that its training code (PyTorch, float32) computed from the same weights: text
// embeddings, the latent after one step (and with WEBLDM_FULL=1 after all twenty), and the picture.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import { LatentDecoder } from "../../src/pipeline/firstStage.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import { toChannelsLast } from "../../src/pipeline/noiseStream.js";
import { samplerPath } from "../../src/sampling/sampler.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { folderFromPath, fromFile } from "../../src/weights/node.js";
import { openSafetensors, type Safetensors } from "../../src/weights/safetensors.js";
import { describeAdapters, openAdapter } from "../harness/adapters.js";

const folder = "test/golden/sticker"; // weights/train/reference.py made it from weights/sticker
const full = process.env["WEBLDM_FULL"] === "1";
const references = JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as {
  settings: { steps: number; guidance_scale: number };
  empty_input_ids: number[];
  prompts: { prompt: string; input_ids: number[] }[];
};

const worst = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return a.length === b.length ? difference / largest : Number.POSITIVE_INFINITY;
};

/** Peak signal-to-noise ratio in dB of pictures in [-1, 1], clipped to that range. */
const psnr = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  const clip = (x: number) => Math.min(1, Math.max(-1, x));
  for (let i = 0; i < b.length; i++) sum += (clip(a[i]!) - clip(b[i]!)) ** 2;
  return 10 * Math.log10(4 / (sum / b.length));
};

describeAdapters("the embedded model", ({ name, hasF16 }) => {
  for (const dtype of hasF16 ? (["f32", "f16"] as const) : (["f32"] as const)) {
    let engine: Engine;
    let model: LatentDiffusion;
    let stored: Safetensors;
    beforeAll(async () => {
      engine = await createEngine({ adapter: (await openAdapter(name))!, dtype });
      model = await engine.load(await folderFromPath("weights/sticker"));
      stored = await openSafetensors(await fromFile(`${folder}/reference.safetensors`));
    });
    afterAll(() => engine.dispose());

    const get = async (key: string, channelsLast?: [number, number, number, number]) => {
      const tensor = stored.tensors.get(key)!;
      const values = toFloat32(await tensor.source.read(tensor.begin, tensor.end), tensor.dtype);
      return channelsLast ? toChannelsLast(values, channelsLast) : values;
    };
    const latent: [number, number, number, number] = [1, 16, 16, 8];
    const picture: [number, number, number, number] = [1, 128, 128, 3];

    it(`suggests the steps and the guidance of the references, in ${dtype}`, () => {
      const { steps, guidance_scale: guidance } = references.settings;
      expect(model.defaults).toMatchObject({ steps, guidance });
    });

    for (const [index, { prompt, input_ids }] of references.prompts.slice(0, full ? undefined : 1).entries()) {
      it(`draws "${prompt}" as the training code does, in ${dtype}`, async () => {
        const { steps, guidance_scale: guidance } = references.settings;
        const ids = [model.tokenize("").ids, model.tokenize(prompt).ids];
        expect(ids).toEqual([references.empty_input_ids, input_ids]);
        const path = samplerPath(model.config.scheduler, { steps });
        const denoiser = await model.programs.denoiser({
          images: 1,
          height: 16,
          width: 16,
          guided: true,
          guidanceRescale: false,
          contextLength: ids[0]!.length,
          noise: "torch",
          stepNoise: path.draws,
          thresholding: false,
          registers: path.registers,
        });
        const encoder = await model.programs.contextEncoder(2);
        encoder.encode(ids);
        denoiser.setContext(encoder.buffer);
        denoiser.prepare();
        const context = await encoder.read();
        const half = context.length / 2;
        const text = Math.max(
          worst(context.subarray(0, half), await get(`p${index}.text_uncond`)),
          worst(context.subarray(half), await get(`p${index}.text_cond`)),
        );

        denoiser.writeLatent(await get(`p${index}.start_latents`, latent));
        const last = full ? steps : 1;
        for (const step of path.steps.slice(0, last)) denoiser.step(step, guidance);
        const latents = worst(await denoiser.readLatent(), await get(`p${index}.latents_step${last}`, latent));
        if (!full) denoiser.writeLatent(await get(`p${index}.latents_step${steps}`, latent));
        const decoder = await model.programs.decoder({ images: 1, height: 16, width: 16 });
        if (!(decoder instanceof LatentDecoder)) throw new Error("expected a decoder of latents");
        await decoder.decode(denoiser.latent);
        const db = psnr(await decoder.readImage(), await get(`p${index}.image`, picture));
        console.log(`${name} ${dtype} "${prompt}": text ${text}, latents ${latents}, picture ${db.toFixed(1)} dB`);
        expect(text).toBeLessThan(dtype === "f32" ? 1e-5 : 5e-3);
        expect(latents).toBeLessThan(dtype === "f32" ? 2e-4 : 5e-2);
        expect(db).toBeGreaterThan(dtype === "f32" ? 90 : 35);
      });
    }
  }
});
