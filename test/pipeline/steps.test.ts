import { afterAll, beforeAll, expect, it } from "vitest";
import { toPng } from "../../src/pictures/pictures.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import type { EncodedLatent } from "../../src/pipeline/picture.js";
import { describeOneAdapter } from "../harness/adapters.js";
import { failure } from "../weights/tiny.js";
import { SeededModels } from "./seededModels.js";
import { gradient } from "./seededPictures.js";

const size = { width: 32, height: 24 };
const request = { prompt: "a fox", steps: 4, guidance: 1, seed: 7, ...size };
const image = gradient(size);

describeOneAdapter("steps", ({ name }) => {
  let models: SeededModels;
  let model: LatentDiffusion;
  beforeAll(async () => {
    models = await SeededModels.on(name);
    model = await models.get("text_ddim");
  });
  afterAll(() => models.dispose());

  it("come one by one, with previews, and end with the picture", async () => {
    const heard: number[] = [];
    const seen: number[] = [];
    let last: EncodedLatent | undefined;
    const plain = await model.textToImage({
      ...request,
      onStep: async ({ latent }) => {
        last = await latent();
      },
    });
    for await (const step of model.steps({ ...request, onStep: ({ step }) => void heard.push(step) })) {
      seen.push(step.step);
      expect(heard).toEqual(seen); // the task waits
      expect(step.steps).toBe(4);
      const preview = await step.preview();
      expect([preview.width, preview.height]).toEqual([32, 24]);
      const latent = await step.latent();
      expect([latent.channels, latent.height, latent.width]).toEqual([4, 6, 8]);
      if (step.step === 4) expect(latent.values).toEqual(last!.values);
      if (step.step < 4) expect(step.result).toBeUndefined();
      else {
        expect(step.result!.pixels).toEqual(plain.pixels);
        expect(preview).toBe(step.result);
      }
    }
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it("return the result, a list for a batch", async () => {
    const steps = model.steps({ ...request, images: 2, steps: 1 });
    const last = await steps.next();
    expect(last.done).toBe(false);
    const end = await steps.next();
    expect(end.done).toBe(true);
    expect(end.value).toHaveLength(2);
  });

  it("are of other tasks too", async () => {
    const { width: _width, height: _height, ...sampling } = request;
    let result: unknown;
    for await (const step of model.steps({ ...sampling, image, strength: 1 }, "imageToImage")) result = step.result;
    expect(result).toMatchObject({ task: "image to image", width: 32 });
  });

  it("end the task where the loop is left, and the model goes on", async () => {
    for await (const { step } of model.steps({ ...request, steps: 50 })) if (step === 2) break;
    expect((await model.textToImage({ ...request, steps: 1 })).steps).toBe(1);
  });

  it("reject with the reason of the signal, or what went wrong", async () => {
    const controller = new AbortController();
    const all = async () => {
      for await (const { step } of model.steps({ ...request, signal: controller.signal })) {
        if (step === 1) controller.abort(new Error("enough"));
      }
    };
    expect(await failure(all())).toBe("Error: enough");
    expect(await failure(model.steps({ ...request, steps: 0 }).next())).toContain("steps: expected an integer");
    const held = new AbortController();
    const steps = model.steps({ ...request, signal: held.signal });
    await steps.next();
    held.abort(); // nobody asks for another step: the model must not wait for it
    expect((await model.textToImage({ ...request, steps: 1 })).steps).toBe(1);
  });

  it("take pictures as files and image data", async () => {
    const { width: _width, height: _height, ...sampling } = request;
    const pixels = Uint8ClampedArray.from({ length: 32 * 24 * 4 }, (_, i) => (i % 4 === 3 ? 255 : i % 251));
    const own = { ...size, pixels };
    const plain = await model.imageToImage({ ...sampling, image: own });
    const data = { ...size, data: pixels, colorSpace: "srgb" } as ImageData;
    for (const given of [data, await toPng(own), new Blob([await toPng(own)])]) {
      expect((await model.imageToImage({ ...sampling, image: given })).pixels).toEqual(plain.pixels);
    }
    const masked = await model.inpaint({ ...sampling, image: data, mask: data });
    expect(masked.pixels).toEqual((await model.inpaint({ ...sampling, image: own, mask: own })).pixels);
    expect((await model.outpaint({ ...sampling, image: data, right: 8 })).width).toBe(40);
    expect((await model.encode(data)).values).toEqual((await model.encode(own)).values);
  });
});
