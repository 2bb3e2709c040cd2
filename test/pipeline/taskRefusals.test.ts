// What tasks refuse, and that the message names the field, what was expected and what came.
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOneAdapter } from "../harness/adapters.js";
import { SeededModels } from "./seededModels.js";
import { gradient } from "./seededPictures.js";

type Task =
  | "textToImage"
  | "classToImage"
  | "layoutToImage"
  | "retrievalToImage"
  | "unconditional"
  | "semanticToImage"
  | "imageToImage"
  | "depthToImage"
  | "inpaint"
  | "outpaint"
  | "upscale"
  | "interpolate"
  | "variations"
  | "progressive";

const size = { width: 32, height: 24 };
const image = gradient(size);
const depth = { width: 4, height: 4, values: Float32Array.from({ length: 16 }, (_, i) => i) };
const segmentation = { width: 16, height: 16, classes: new Uint8Array(256) };
const context = { values: new Float32Array(2 * 16) };
const notNumbers = { values: new Float32Array(16).fill(Number.NaN) };
const box = [0.1, 0.1, 0.5, 0.5] as const;
// Model, task, what changes a good request, what the message says.
const refusals: readonly (readonly [string, Task, object, string])[] = [
  ["text_ddim", "textToImage", { prompt: " " }, "prompt: expected 1 to 8000 characters"],
  ["text_ddim", "textToImage", { prompt: 5 }, "prompt: expected text, got number"],
  ["text_ddim", "textToImage", { steps: 0 }, "steps: expected an integer from 1 to 1000, got 0"],
  ["text_ddim", "textToImage", { guidance: -1 }, "guidance: expected a number from 0 to 100"],
  ["text_ddim", "textToImage", { guidanceRescale: 2 }, "guidanceRescale: expected a number from 0 to 1"],
  ["text_ddim", "textToImage", { prompt: "a", width: 30 }, "width: expected a multiple of 4"],
  ["text_ddim", "textToImage", { images: 0 }, "images: expected an integer from 1 to 64"],
  ["text_ddim", "textToImage", { eta: 2 }, "eta: expected a number from 0 to 1"],
  ["text_ddim", "textToImage", { eta: 1, sampler: "dpm++" }, "eta: dpm++ takes none"],
  ["text_ddim", "textToImage", { noise: "device", jointNoise: true }, "jointNoise: expected noise of torch"],
  ["text_ddim", "classToImage", { label: 1 }, "label: this model is conditioned on a text"],
  ["text_ddim", "layoutToImage", { objects: [] }, "objects: this model is conditioned on a text"],
  ["text_ddim", "retrievalToImage", { embeddings: [] }, "embeddings: this model is conditioned on a text"],
  ["text_ddim", "unconditional", {}, "prompt: this model is conditioned on a text, got none"],
  ["text_ddim", "semanticToImage", { segmentation }, "takes no picture beside the latent"],
  ["text_ddim", "depthToImage", { image, depth }, "takes no picture beside the latent"],
  ["text_ddim", "upscale", { image }, "takes no picture beside the latent"],
  ["text_ddim", "imageToImage", { image: undefined }, "image: expected an image, got undefined"],
  ["text_ddim", "imageToImage", { image: { ...size, pixels: [] } }, "image: expected 3072 bytes of RGBA"],
  ["text_ddim", "imageToImage", { image: gradient({ width: 30, height: 24 }) }, "width that is a multiple of 4"],
  ["text_ddim", "imageToImage", { image, prompt: "a fox", strength: 0 }, "strength: expected above 0"],
  ["text_ddim", "imageToImage", { image, prompt: "a fox", strength: 1.5 }, "strength: expected a number from 0 to 1"],
  ["text_ddim", "imageToImage", { image, prompt: "a fox", strength: 0.1 }, "strength: 0.1 of 2 steps leaves none"],
  ["text_ddim", "imageToImage", { image, prompt: "a", context }, "prompt: expected nothing beside a context"],
  ["text_ddim", "imageToImage", { image, context: { values: new Float32Array(15) } }, "expected rows of 16 numbers"],
  ["text_ddim", "imageToImage", { image, context: notNumbers }, "context.values: expected finite numbers"],
  ["text_ddim", "inpaint", { image, prompt: "a" }, "mask: expected an image, got undefined"],
  ["text_ddim", "inpaint", { image, prompt: "a", mask: gradient({ width: 4, height: 4 }) }, "mask: expected 32 x 24"],
  [
    "text_ddim",
    "inpaint",
    { image, prompt: "a", mask: { ...size, values: new Float32Array(size.width * size.height * 3) } },
    "mask: expected pixels, black and white, got an image of floats",
  ],
  ["text_ddim", "outpaint", { image, prompt: "a" }, "outpaint: expected pixels to add at left, right, top or bottom"],
  ["text_ddim", "outpaint", { image, prompt: "a", left: 3 }, "left + image + right: expected a multiple of 4"],
  ["text_ddim", "outpaint", { image, prompt: "a", left: -4 }, "left: expected an integer from 0"],
  ["text_ddim", "interpolate", { frames: 2 }, "interpolate: expected two ends"],
  ["text_ddim", "interpolate", { from: { prompt: "a" }, to: { prompt: "b" }, frames: 1 }, "frames: expected"],
  ["text_ddim", "interpolate", { from: { prompt: "a" }, to: { label: 1 }, frames: 2 }, "label: this model"],
  ["text_ddim", "interpolate", { from: {}, to: {}, frames: 2, noise: "device" }, "noise: interpolation mixes"],
  ["text_ddim", "variations", { prompt: "a", count: 0 }, "count: expected an integer from 1 to 64"],
  ["text_ddim", "variations", { prompt: "a", count: 1, amount: 2 }, "amount: expected a number from 0 to 1"],
  ["text_ddim", "variations", { prompt: "a", count: 1, images: 2 }, "images: variation draws one picture"],
  ["text_ddim", "progressive", { prompt: "a", every: 3 }, "every: expected an integer from 1 to 2"],
  ["unconditional", "textToImage", { prompt: "a" }, "prompt: this model is unconditional"],
  ["unconditional", "unconditional", { latents: new Float32Array(3) }, "latents: expected 144 values"],
  ["unconditional", "unconditional", { latents: new Float32Array(144).fill(1 / 0) }, "latents: expected finite"],
  ["unconditional", "imageToImage", { image, context }, "context: the model attends to none"],
  ["inpaint9_full", "textToImage", { prompt: "a" }, "takes a picture and a mask (inpaint)"],
  ["inpaint9_full", "imageToImage", { image }, "takes a picture and a mask (inpaint)"],
  ["depth", "imageToImage", { image, prompt: "a" }, "takes a picture and its depth (depthToImage)"],
  ["depth", "depthToImage", { image, prompt: "a" }, "depth: expected undefined x undefined finite numbers"],
  [
    "depth",
    "depthToImage",
    { image, prompt: "a", depth: { ...depth, values: new Float32Array(16) } },
    "depth: expected a map with some relief",
  ],
  ["upscale", "textToImage", { prompt: "a" }, "takes a low-resolution picture (upscale)"],
  ["upscale", "upscale", { image, prompt: "a", noiseLevel: 100 }, "noiseLevel: expected an integer from 0 to 99"],
  ["super_resolution", "upscale", { image, noiseLevel: 5 }, "noiseLevel (this model takes none)"],
  ["super_resolution", "upscale", { image, prompt: "a" }, "prompt: this model is unconditional"],
  [
    "text_ddim",
    "variations",
    { prompt: "a", count: 2, seed: Number.MAX_SAFE_INTEGER - 1 },
    "seed: expected an integer from 0 to 9007199254740989, got 9007199254740990",
  ],
  ["ldm_semantic", "unconditional", {}, "takes a segmentation map (semanticToImage)"],
  ["ldm_semantic", "semanticToImage", {}, "segmentation width: expected a multiple of 4"],
  [
    "ldm_semantic",
    "semanticToImage",
    { segmentation: { ...segmentation, classes: new Uint8Array(3) } },
    "segmentation: expected 256 classes, got 3",
  ],
  [
    "ldm_semantic",
    "semanticToImage",
    { segmentation: { ...segmentation, classes: new Uint8Array(256).fill(12) } },
    "segmentation: expected classes 0 to 11, got 12",
  ],
  [
    "ldm_semantic",
    "semanticToImage",
    { segmentation: { ...segmentation, classes: new Int8Array(256).fill(-1) } },
    "segmentation: expected classes 0 to 11, got -1",
  ],
  [
    "ldm_semantic",
    "semanticToImage",
    { segmentation: { ...segmentation, classes: new Float32Array(256).fill(0.5) } },
    "segmentation: expected classes 0 to 11, got 0.5",
  ],
  ["ldm_layout", "layoutToImage", {}, "objects: this model is conditioned on a layout of objects, got none"],
  ["ldm_layout", "layoutToImage", { objects: [{ category: 1, box: [0.5, 0, 0.4, 1] }] }, "object 0: box is"],
  ["ldm_layout", "layoutToImage", { objects: Array(31).fill({ category: 1, box }) }, "objects: 31, expected at most"],
  ["ldm_retrieval", "retrievalToImage", { embeddings: [] }, "embeddings: expected at least one"],
  ["ldm_retrieval", "retrievalToImage", { embeddings: [new Float32Array(3)] }, "embeddings: expected 16 numbers"],
  ["ldm_retrieval", "retrievalToImage", { embeddings: [new Float32Array(16)] }, "embedding 0 has length 0"],
];

describeOneAdapter("refusals", ({ name }) => {
  let models: SeededModels;
  beforeAll(async () => {
    models = await SeededModels.on(name);
  });
  afterAll(() => models.dispose());

  for (const [index, [task, method, change, message]] of refusals.entries()) {
    it(`${index} ${task}, ${method}: ${message}`, async () => {
      const model = await models.get(task);
      const ask = model[method].bind(model) as (request: object) => Promise<unknown>;
      const fromPicture = "image" in change || ["inpaint", "outpaint", "semanticToImage", "upscale"].includes(method);
      await expect(ask({ steps: 2, seed: 1, ...(fromPicture ? {} : size), ...change })).rejects.toThrow(message);
    });
  }
});
