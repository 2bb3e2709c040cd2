// How a model behaves whatever it draws: determinism, seeds, cancelling, errors, disposal. Tiny pictures, few steps.
import { afterAll, beforeAll, expect, it } from "vitest";
import { TorchGenerator } from "../../src/core/torchRandom.js";
import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import type { EncodedLatent, Picture } from "../../src/pipeline/picture.js";
import type { StepInfo } from "../../src/pipeline/request.js";
import type { TextToImageRequest } from "../../src/pipeline/tasks/fromNoise.js";
import { folderFromPath } from "../../src/weights/node.js";
import { describeOneAdapter, openAdapter } from "../harness/adapters.js";

const tiny = { prompt: "a red apple", steps: 2, seed: 1, width: 32, height: 32 };
const device = { noise: "device" as const };
const same = (a: Picture, b: Picture) => a.pixels.every((byte, i) => byte === b.pixels[i]);

describeOneAdapter("text to image", ({ name }) => {
  let engine: Engine;
  let model: LatentDiffusion;
  beforeAll(async () => {
    engine = await createEngine({ adapter: (await openAdapter(name))! });
    model = await engine.load(await folderFromPath("weights/sticker"));
  });
  afterAll(() => engine.dispose());

  it("gives the same picture for the same request, and another for another seed, prompt, eta or guidance", async () => {
    const first = await model.textToImage(tiny);
    expect(first).toMatchObject({ ...tiny, guidance: 4, eta: 0, negativePrompt: "", warnings: [] });
    expect(first.pixels.length).toBe(32 * 32 * 4);
    expect(same(await model.textToImage(tiny), first)).toBe(true);
    for (const change of [
      { seed: 2 },
      { prompt: "a fox" },
      { eta: 1 },
      { guidance: 1 },
      { negativePrompt: "green" },
      device,
      { ...device, eta: 1 },
    ]) {
      const other = await model.textToImage({ ...tiny, ...change });
      expect([change, same(other, first)]).toEqual([change, false]);
      expect(same(await model.textToImage({ ...tiny, ...change }), other)).toBe(true);
    }
    expect(same(await model.textToImage(tiny), first)).toBe(true); // other programs in between changed nothing
  });

  it("starts from the noise that PyTorch draws for the seed", async () => {
    const latents = new TorchGenerator(tiny.seed).randn(8 * 4 * 4);
    expect(same(await model.textToImage({ ...tiny, latents, seed: 5 }), await model.textToImage(tiny))).toBe(true);
  });

  it("shows the picture while it forms, without changing it", async () => {
    const seen: number[] = [];
    const previews: Picture[] = [];
    const onStep = async (info: { step: number; timestep: number; preview(): Promise<Picture> }) => {
      seen.push(info.timestep);
      previews.push(await info.preview());
    };
    const drawn = await model.textToImage({ ...tiny, onStep });
    expect(seen).toEqual([501, 1]);
    expect(previews.map((p) => p.pixels.length)).toEqual([4096, 4096]);
    expect(same(previews[0]!, previews[1]!)).toBe(false);
    expect(same(drawn, await model.textToImage(tiny))).toBe(true);
  });

  it("takes requests one after the other, and stops where a signal says so", async () => {
    const controller = new AbortController();
    const stopped = model.textToImage({
      ...tiny,
      steps: 50,
      signal: controller.signal,
      onStep: () => controller.abort(),
    });
    const next = model.textToImage(tiny);
    await expect(stopped).rejects.toThrow("aborted");
    expect(same(await next, await model.textToImage(tiny))).toBe(true);
    await expect(model.textToImage({ ...tiny, signal: AbortSignal.abort() })).rejects.toThrow("aborted");
  });

  it("draws what a request said when it was made, whatever becomes of the object", async () => {
    const request: TextToImageRequest = { ...tiny, steps: 1 };
    const drawn = [1, 2].map((seed) => model.textToImage(Object.assign(request, { seed })));
    Object.assign(request, { seed: 3, images: 2 });
    expect((await Promise.all(drawn)).map(({ seed }) => seed)).toEqual([1, 2]);
  });

  it("hears of a signal while it waits, and refuses a preview that comes too late", async () => {
    let late: (() => Promise<Picture>) | undefined;
    const onStep = ({ step, preview }: StepInfo) => {
      if (step === 1) late = preview;
    };
    const first = model.textToImage({ ...tiny, onStep });
    const controller = new AbortController();
    let drawn = false;
    void first.then(() => {
      drawn = true;
    });
    const waiting = model.textToImage({ ...tiny, signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toThrow("aborted");
    expect(drawn).toBe(false);
    await first;
    await expect(late!()).rejects.toThrow("preview: step 1 is over");
  });

  it("compiles ahead in turn, whatever else is asked for", async () => {
    const sizes = [32, 40, 48, 56].map((width) => model.prepare({ width, height: 32 }));
    const picture = await model.textToImage(tiny);
    await Promise.all(sizes);
    expect(same(await model.textToImage(tiny), picture)).toBe(true);
    await expect(model.prepare({ width: 33 })).rejects.toThrow("width: expected a multiple of 8");
  });

  it("refuses what is running when the model is disposed of, and frees it", async () => {
    const other = await engine.load(await folderFromPath("weights/sticker"));
    const running = other.textToImage({ ...tiny, steps: 20, onStep: () => other.dispose() });
    await expect(running).rejects.toThrow("the model was disposed");
    expect((await model.textToImage(tiny)).pixels.length).toBe(4096);
  });

  it("is usable after an error, and warns about a prompt that does not fit", async () => {
    await expect(model.textToImage({ ...tiny, width: 30 })).rejects.toThrow("width: expected a multiple of 8");
    await expect(model.textToImage({ ...tiny, latents: new Float32Array(3) })).rejects.toThrow(
      "latents: expected 128 values",
    );
    const failing = () => Promise.reject(new Error("from onStep"));
    await expect(model.textToImage({ ...tiny, onStep: failing })).rejects.toThrow("from onStep");
    const { warnings } = await model.textToImage({ ...tiny, prompt: "apple ".repeat(40) });
    expect(warnings).toEqual([expect.stringMatching(/^the prompt has 40 tokens, the model reads 30; cut off: "apple/)]);
    const unwanted = await model.textToImage({ ...tiny, negativePrompt: "green ".repeat(40) });
    expect(unwanted.warnings).toEqual([expect.stringMatching(/^the negative prompt has 40 tokens/)]);
  });

  it("encodes a picture, as its mean or a sample, and decodes it again", async () => {
    const picture = await model.textToImage({ ...tiny, steps: 6, width: 64, height: 64 });
    const latent = await model.encode(picture);
    expect([latent.channels, latent.height, latent.width, latent.values.length]).toEqual([8, 8, 8, 512]);
    const back = await model.decode(latent);
    const error = back.pixels.reduce((sum, byte, i) => sum + (byte - picture.pixels[i]!) ** 2, 0);
    expect(10 * Math.log10((255 * 255 * back.pixels.length) / error)).toBeGreaterThan(22);
    const sample = await model.encode(picture, { seed: 3 });
    expect(sample.values).not.toEqual(latent.values);
    expect((await model.encode(picture, { seed: 3 })).values).toEqual(sample.values);
    await expect(model.decode({ ...latent, channels: 4 })).rejects.toThrow("latent: expected 8 channels, got 4");
    await expect(model.decode(undefined as unknown as EncodedLatent)).rejects.toThrow(
      "latent: expected what encode gives",
    );
    for (const memoryBudget of [0, Number.NaN]) {
      const message = `memoryBudget: expected a number from 1 to 9007199254740991, got ${memoryBudget}`;
      await expect(model.encode(picture, { memoryBudget })).rejects.toThrow(message);
      await expect(model.decode(latent, { memoryBudget })).rejects.toThrow(message);
    }
    await expect(model.encode({ ...picture, width: 63 })).rejects.toThrow("image: expected a width that is a multiple");
  });

  it("frees what it holds", async () => {
    const other = await engine.load(await folderFromPath("weights/sticker"));
    expect(other.memory.weights).toBeGreaterThan(34e6);
    other.dispose();
    other.dispose();
    await expect(other.textToImage(tiny)).rejects.toThrow("the model was disposed");
    expect((await model.textToImage(tiny)).pixels.length).toBe(4096);
  });
});
