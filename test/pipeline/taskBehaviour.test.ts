// What tasks promise whatever the model draws: batches, noise of the device, tiles, ends of interpolations and
// kept pixels. Tiny random models in f32; tasks.test.ts compares the numbers with the reference.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Denoiser } from "../../src/pipeline/denoiser.js";
import { type Division, stageBytes } from "../../src/pipeline/firstStage.js";
import { LatentDecoder } from "../../src/pipeline/latentDecoder.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import { NoiseStream } from "../../src/pipeline/noiseStream.js";
import type { Picture } from "../../src/pipeline/picture.js";
import type { StepInfo } from "../../src/pipeline/request.js";
import { describeOneAdapter } from "../harness/adapters.js";
import { SeededModels } from "./seededModels.js";
import { gradient } from "./seededPictures.js";
import { weight } from "./seededTensors.js";

const size = { width: 32, height: 24 };
const plain = { prompt: "a fox", steps: 2, guidance: 3, seed: 7, ...size };
const { width: _width, height: _height, ...sampling } = plain; // of tasks that begin with a picture

/** Largest difference of two pictures, in levels. */
function distance(a: Picture, b: Picture): number {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  return a.pixels.reduce((most, level, i) => Math.max(most, Math.abs(level - b.pixels[i]!)), 0);
}

/** White in columns from `from` on. */
function maskFrom(from: number) {
  const pixels = new Uint8Array(size.width * size.height * 4);
  for (let i = 0; i < size.width * size.height; i++) if (i % size.width >= from) pixels.fill(255, i * 4, i * 4 + 4);
  return { ...size, pixels };
}

const image = gradient(size);

describeOneAdapter("tasks", ({ name }) => {
  let models: SeededModels;
  let text: LatentDiffusion;
  beforeAll(async () => {
    models = await SeededModels.on(name);
    text = await models.get("text_ddim");
  });
  afterAll(() => models.dispose());

  describe("a batch gives the pictures that single requests with the seeds that follow give", () => {
    for (const noise of ["torch", "device"] as const) {
      it.each([
        ["text", () => ({ ...plain, noise }), "textToImage"],
        ["text with eta", () => ({ ...plain, noise, eta: 0.8 }), "textToImage"],
        ["ancestral sampling", () => ({ ...plain, noise, sampler: "ddpm" as const }), "textToImage"],
        ["image to image", () => ({ ...sampling, noise, image, strength: 0.6 }), "imageToImage"],
        ["inpainting", () => ({ ...sampling, noise, image, mask: maskFrom(9), eta: 0.3 }), "inpaint"],
      ] as const)(`%s, noise of ${noise}`, async (_, request, method) => {
        const task = text[method].bind(text) as (request: object) => Promise<unknown>;
        const ask = (change: object) => task({ ...request(), ...change });
        const batch = (await ask({ images: 2 })) as Picture[];
        expect(batch.map(({ seed }) => seed)).toEqual([7, 8]);
        for (const [i, picture] of batch.entries()) {
          const single = (await ask({ seed: 7 + i })) as Picture;
          expect(distance(picture, single)).toBeLessThanOrEqual(1);
        }
        expect(distance(batch[0]!, batch[1]!)).toBeGreaterThan(10);
      });
    }

    it("but with the noise of one generator where that is asked for", async () => {
      const joint = { ...plain, eta: 1, images: 2, jointNoise: true };
      const [first, second] = await text.textToImage(joint);
      expect([first!.seed, second!.seed]).toEqual([7, 7]);
      expect(distance(first!, await text.textToImage({ ...plain, eta: 1 }))).toBeGreaterThan(2);
      expect(distance(second!, await text.textToImage({ ...plain, eta: 1, seed: 8 }))).toBeGreaterThan(10);
      expect(distance(first!, second!)).toBeGreaterThan(10);
      // The generator's first numbers are the first picture's start: with no other noise that picture stays.
      const [same] = await text.textToImage({ ...joint, eta: 0 });
      expect(distance(same!, await text.textToImage(plain))).toBeLessThanOrEqual(1);
    });
  });

  it("encodes and noises the picture that a batch shares once where one generator draws for all", async () => {
    const first = async (model: LatentDiffusion, task: "imageToImage" | "inpaint" | "upscale", request: object) => {
      const ask = model[task].bind(model) as (request: object) => Promise<unknown>;
      const [joint, other] = (await ask({ ...request, images: 2, jointNoise: true })) as Picture[];
      expect(distance(joint!, other!)).toBeGreaterThan(10);
      return distance(joint!, (await ask(request)) as Picture);
    };
    expect(await first(text, "imageToImage", { ...sampling, image, strength: 0.6 })).toBeLessThanOrEqual(1);
    const part = { ...sampling, image, mask: maskFrom(9), strength: 0.6 };
    expect(await first(text, "inpaint", part)).toBeLessThanOrEqual(1);
    const low = { image: gradient({ width: 8, height: 8 }), prompt: "a fox", steps: 2, seed: 3 };
    expect(await first(await models.get("upscale"), "upscale", low)).toBeLessThanOrEqual(1);
  });

  it("works in bands or tiles within a budget of memory", async () => {
    const side = { width: 40, height: 96 };
    const large = gradient(side);
    const decoders = vi.spyOn(text.programs, "decoder");
    const plans = async () => ((await decoders.mock.results.at(-1)!.value) as LatentDecoder).plans.length;
    const whole = await text.imageToImage({ ...sampling, image: large });
    expect(await plans()).toBe(1);
    const { firstStage } = text.config;
    const bytes = (division: Division, images = 1) =>
      stageBytes("decoder", firstStage!, { images, height: 24, width: 10 }, { dtype: "f32" }, division).total;
    const banded = await text.imageToImage({ ...sampling, image: large, memoryBudget: bytes({}) - 1 });
    expect(distance(banded, whole)).toBeLessThan(0.01);
    const memoryBudget = bytes({ tile: 8 }, 2);
    expect(memoryBudget).toBeLessThan(bytes({ bands: { levels: 2, rows: 32 } }));
    const tiled = await text.imageToImage({ ...sampling, image: large, memoryBudget });
    expect(await plans()).toBeGreaterThan(1);
    decoders.mockRestore();
    expect(distance(tiled, whole)).toBeGreaterThan(0); // norms see a tile, not the picture
    const drawn = await text.textToImage({ ...plain, ...side, memoryBudget, images: 2 });
    expect(drawn.map(({ width, height }) => [width, height])).toEqual([
      [40, 96],
      [40, 96],
    ]);
    await expect(text.textToImage({ ...plain, ...side, memoryBudget: 1000 })).rejects.toThrow(
      /takes \d+ bytes in tiles of 8 latent pixels, the budget is 1000$/,
    );
    expect(distance(await text.imageToImage({ ...sampling, image: large }), whole)).toBe(0);
  });

  it("interpolates between pictures, ends included", async () => {
    for (const noisy of [{}, { eta: 1 }]) {
      const request = { steps: 2, guidance: 3, ...size, ...noisy };
      const from = { prompt: "a fox", negativePrompt: "fog", seed: 7 };
      const to = { prompt: "red", seed: 12 };
      const row = await text.interpolate({ ...request, from, to, frames: 3 });
      expect(row.map(({ prompt, negativePrompt, seed }) => [prompt, negativePrompt, seed])).toEqual([
        ["a fox", "fog", 7],
        ["red", "", 12],
        ["red", "", 12],
      ]);
      expect(distance(row[0]!, await text.textToImage({ ...request, ...from }))).toBe(0);
      expect(distance(row[2]!, await text.textToImage({ ...request, ...to }))).toBe(0);
      expect(distance(row[1]!, row[0]!)).toBeGreaterThan(10);
      expect(distance(row[1]!, row[2]!)).toBeGreaterThan(10);
    }
  });

  it("changes the conditioning alone where the ends share a seed", async () => {
    const request = { steps: 2, guidance: 3, ...size };
    const ends = { from: { prompt: "a fox", seed: 7 }, to: { prompt: "red" } };
    const [first, last] = await text.interpolate({ ...request, ...ends, frames: 2 });
    expect(distance(first!, await text.textToImage({ ...request, prompt: "a fox", seed: 7 }))).toBe(0);
    expect(distance(last!, await text.textToImage({ ...request, prompt: "red", seed: 7 }))).toBe(0);
  });

  it("varies a picture as far as it is told", async () => {
    for (const eta of [0, 1]) {
      const request = { ...plain, eta };
      const base = await text.textToImage(request);
      for (const picture of await text.variations({ ...request, amount: 0, count: 2 })) {
        expect(distance(picture, base)).toBe(0);
      }
      const [near] = await text.variations({ ...request, amount: 0.3, count: 1 });
      expect(distance(near!, base)).toBeGreaterThan(1);
      const [, other] = await text.variations({ ...request, amount: 1, count: 2 });
      expect(distance(other!, await text.textToImage({ ...request, seed: plain.seed + 2 }))).toBe(0);
    }
  });

  it("shows a progressive row that ends with the picture itself", async () => {
    const request = { ...plain, steps: 4 };
    const previews: Picture[] = [];
    const onStep = async ({ step, preview }: StepInfo) => {
      if (step === 2) previews.push(await preview());
    };
    const picture = await text.textToImage({ ...request, onStep });
    const row = await text.progressive({ ...request, every: 2 });
    expect(row.length).toBe(2);
    expect(distance(row[0]!, previews[0]!)).toBe(0);
    expect(distance(row[1]!, picture)).toBe(0);
    expect(distance(row[0]!, picture)).toBeGreaterThan(0);
    expect((await text.progressive({ ...request, every: 1 })).length).toBe(4);
  });

  it("compiles once for previews that nobody waits for, and draws the same", async () => {
    const request = { ...plain, width: 20, height: 28, steps: 3 };
    const compile = vi.spyOn(LatentDecoder, "compile");
    const previews: Promise<Picture>[] = [];
    const onStep = ({ preview }: StepInfo) => {
      previews.push(preview());
    };
    const picture = await text.textToImage({ ...request, onStep });
    for (const preview of await Promise.all(previews)) expect([preview.width, preview.height]).toEqual([20, 28]);
    expect(compile.mock.calls.length).toBe(1);
    compile.mockRestore();
    expect(distance(picture, await text.textToImage(request))).toBe(0);
  });

  for (const task of ["text_ddim", "inpaint9_full"]) {
    it(`keeps what is outside the mask: ${task}`, async () => {
      const inpainting = await models.get(task);
      const request = { ...sampling, image };
      const mask = maskFrom(13);
      const free = await inpainting.inpaint({ ...request, mask });
      const kept = await inpainting.inpaint({ ...request, mask, composite: true });
      for (let i = 0; i < size.width * size.height; i++) {
        const from = i % size.width < 13 ? image.pixels : free.pixels;
        expect([...kept.pixels.subarray(i * 4, i * 4 + 3)]).toEqual([...from.subarray(i * 4, i * 4 + 3)]);
      }
      expect(distance(free, kept)).toBeGreaterThan(10);
      const all = await inpainting.inpaint({ ...request, mask: maskFrom(size.width), composite: true });
      expect([...all.pixels]).toEqual([...image.pixels]);
    });

    it(`continues a picture beyond its borders: ${task}`, async () => {
      const outpainting = await models.get(task);
      const larger = await outpainting.outpaint({ ...sampling, image, left: 8, top: 4, bottom: 12 });
      expect([larger.width, larger.height]).toEqual([size.width + 8, size.height + 16]);
      const colours = new Set<string>();
      for (let y = 0; y < larger.height; y++) {
        for (let x = 0; x < larger.width; x++) {
          const at = (y * larger.width + x) * 4;
          const pixel = larger.pixels.subarray(at, at + 3).join();
          const [row, column] = [y - 4, x - 8];
          if (row >= 0 && row < size.height && column >= 0) {
            const from = (row * size.width + column) * 4;
            expect(pixel).toBe(image.pixels.subarray(from, from + 3).join());
          } else colours.add(pixel);
        }
      }
      expect(colours.size).toBeGreaterThan(100); // painted, not filled
    });
  }

  it("puts the original's pixels back by default with the paper's inpainting model", async () => {
    const inpainting = await models.changed("ldm_semantic", (stored) => {
      const { config, tensors, parameters, ...rest } = stored.models["ldm"]!;
      const { target, params } = config as { target: string; params: { unet_config: { params: object } } };
      const unet = { ...params.unet_config, params: { ...params.unet_config.params, in_channels: 7 } };
      const changed = { unet_config: unet, cond_stage_key: "masked_image", cond_stage_config: "__is_first_stage__" };
      const ldm = {
        ...rest,
        tensors: tensors - 1, // the map's
        parameters: parameters - 12 * 3 + 32 * 3 * 3, // and one channel more for the mask
        config: { target, params: { ...params, ...changed } },
      };
      return { ...stored, models: { ldm } };
    });
    const request = { steps: 2, seed: 3, image, mask: maskFrom(13) };
    const kept = await inpainting.inpaint(request);
    const free = await inpainting.inpaint({ ...request, composite: false });
    for (let i = 0; i < size.width * size.height; i++) {
      const from = i % size.width < 13 ? image.pixels : free.pixels;
      expect([...kept.pixels.subarray(i * 4, i * 4 + 3)]).toEqual([...from.subarray(i * 4, i * 4 + 3)]);
    }
    expect(distance(free, kept)).toBeGreaterThan(10);
    // The picture under the mask is not told: whatever it is, the same is painted.
    const hidden = {
      ...image,
      pixels: image.pixels.map((level, i) => ((i >> 2) % size.width < 13 ? level : 255 - level)),
    };
    expect(distance(await inpainting.inpaint({ ...request, image: hidden }), kept)).toBe(0);
    inpainting.dispose();
  });

  it("inpaints by strength: from pure noise at 1, near the picture below", async () => {
    const request = { ...sampling, steps: 10, image, mask: maskFrom(0) };
    const [anew, near, free] = await Promise.all([
      text.inpaint(request),
      text.inpaint({ ...request, strength: 0.1 }),
      text.imageToImage({ ...sampling, steps: 10, image, strength: 0.1 }),
    ]);
    expect(distance(near, free)).toBe(0); // nothing is kept: image to image
    expect(distance(anew, near)).toBeGreaterThan(10);
  });

  it("draws masked noise in the order of the original code", async () => {
    const original = await models.get("ldm_image");
    const { contextWidth } = original.config.unet;
    const context = { values: new Float32Array(contextWidth!).fill(0.5) };
    const draws = vi.spyOn(NoiseStream.prototype, "draw");
    const count = async (steps: number, sampler: "ddim" | "plms") => {
      draws.mockClear();
      const request = { image, mask: maskFrom(9), context, guidance: 1, seed: 1, steps, sampler };
      await original.inpaint(request);
      return draws.mock.calls.length;
    };
    // The start; each step's kept part, and the noise that the sampler draws for every update, be its weight 0.
    expect(await count(3, "ddim")).toBe(1 + 3 * 2);
    expect(await count(3, "plms")).toBe(1 + 3 * 2 + 1);
    draws.mockRestore();
  });

  it("draws for the hole as diffusers does, also where no model is told of it", async () => {
    const values = vi.spyOn(NoiseStream.prototype, "values");
    await text.inpaint({ ...sampling, image, mask: maskFrom(9), steps: 3, eta: 0.5 });
    // The picture's code, the start, the code of the picture with the hole, and the steps.
    expect(values.mock.calls.length).toBe(3 + 3);
    values.mockRestore();
  });

  it("brings what is kept to each level after ancestral steps of the original code", async () => {
    const timesteps = 20;
    const original = await models.changed("ldm_image", (stored) => {
      const { config, ...rest } = stored.models["ldm"]!;
      const { target, params } = config as { target: string; params: object };
      return { ...stored, models: { ldm: { ...rest, config: { target, params: { ...params, timesteps } } } } };
    });
    const context = { values: new Float32Array(original.config.unet.contextWidth!).fill(0.5) };
    const steps = vi.spyOn(Denoiser.prototype, "step");
    const blends = vi.spyOn(Denoiser.prototype, "blend");
    const draws = vi.spyOn(NoiseStream.prototype, "draw");
    const request = { image, mask: maskFrom(9), context, guidance: 1, seed: 1, steps: timesteps };
    await original.inpaint({ ...request, sampler: "ddpm" });
    // After each step, to that step's own level with fresh noise; the last one included.
    expect(blends.mock.calls.map(([{ signal }]) => signal)).toEqual(steps.mock.calls.map(([{ signal }]) => signal));
    for (const [i, order] of steps.mock.invocationCallOrder.entries()) {
      expect(blends.mock.invocationCallOrder[i]).toBeGreaterThan(order);
      expect(blends.mock.calls[i]![1]).toBe(draws.mock.results[2 * i + 2]!.value);
    }
    expect([steps, draws].map(({ mock }) => mock.calls.length)).toEqual([timesteps, 1 + 2 * timesteps]);
    for (const spy of [steps, blends, draws]) spy.mockRestore();
    original.dispose();
  });

  it("draws a class by its learned vector, guided by the last one", async () => {
    const [classes, width] = [11, 16];
    const classModel = await models.changed("ldm_retrieval", (stored) => {
      const { config, tensors, parameters, ...rest } = stored.models["ldm"]!;
      const { target, params } = config as { target: string; params: object };
      const embedder = {
        target: "ldm.modules.encoders.modules.ClassEmbedder",
        params: { n_classes: classes, embed_dim: width },
      };
      const ldm = {
        ...rest,
        tensors: tensors + 1,
        parameters: parameters + classes * width,
        config: { target, params: { ...params, cond_stage_key: "class_label", cond_stage_config: embedder } },
      };
      return { ...stored, models: { ldm } };
    });
    const table = weight("ldm.cond_stage_model.embedding.weight", [classes, width]);
    const row = (label: number) => table.slice(label * width, (label + 1) * width);
    const request = { steps: 2, seed: 3, guidance: 3, ...size };
    const drawn = await classModel.classToImage({ ...request, label: 4, images: 2 });
    const context = { values: row(4), negative: row(classes - 1) };
    for (const [i, picture] of drawn.entries()) {
      const [expected] = await classModel.progressive({ ...request, seed: 3 + i, context, every: 2 });
      expect(distance(picture, expected!)).toBeLessThanOrEqual(1);
    }
    await expect(classModel.classToImage({ ...request, label: 11 })).rejects.toThrow(
      "label: expected an integer from 0 to 10",
    );
    classModel.dispose();
  });

  it("stops where a signal says so, and goes on with the next request", async () => {
    const controller = new AbortController();
    const stopped = text.imageToImage({
      ...sampling,
      steps: 50,
      image,
      signal: controller.signal,
      onStep: () => controller.abort(),
    });
    const next = text.imageToImage({ ...sampling, image });
    await expect(stopped).rejects.toThrow("aborted");
    expect(distance(await next, await text.imageToImage({ ...sampling, image }))).toBe(0);
  });

  it("draws beyond the size of training, and sides that the networks cannot halve evenly", async () => {
    for (const [width, height] of [
      [96, 20],
      [36, 44],
    ] as const) {
      const picture = await text.textToImage({ ...plain, width, height });
      expect([picture.width, picture.height]).toEqual([width, height]);
      expect(new Set(picture.pixels).size).toBeGreaterThan(20);
    }
  });
});
