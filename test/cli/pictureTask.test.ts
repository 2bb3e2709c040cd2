// What the command line makes of its options, against the library's own methods, on tiny random models.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "fast-png";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type PictureTask, prepareTask } from "../../src/cli/pictureTask.js";
import type { Checkpoint, LatentDiffusion, Picture, PixelImage } from "../../src/index.js";
import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import { requestGraphs } from "../../src/pipeline/requestGraphs.js";
import { describeOneAdapter, openAdapter } from "../harness/adapters.js";
import { openSeeded } from "../pipeline/seededModel.js";
import { gradient } from "../pipeline/seededPictures.js";
import { SeededTask } from "../pipeline/seededTask.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-task-"));
const size = { width: 32, height: 24 };
const image = gradient(size);
const mask: PixelImage = {
  ...size,
  pixels: new Uint8Array(size.width * size.height * 4).map((_, i) =>
    i % 4 === 3 || (i >> 2) % size.width > 9 ? 255 : 0,
  ),
};
const small = gradient({ width: 12, height: 8 });

function writePng(name: string, { width, height, pixels }: PixelImage): void {
  writeFileSync(join(folder, name), encode({ width, height, channels: 4, data: Uint8Array.from(pixels) }));
}

beforeAll(() => {
  writePng("image.png", image);
  writePng("mask.png", mask);
  writePng("small.png", small);
  writePng("odd.png", gradient({ width: 30, height: 25 }));
});
afterAll(() => rmSync(folder, { recursive: true }));

const checkpoints = new Map<string, Promise<Checkpoint>>();
function checkpointOf(name: string): Promise<Checkpoint> {
  let checkpoint = checkpoints.get(name);
  if (!checkpoint) {
    checkpoint = SeededTask.read(name).then(openSeeded);
    checkpoints.set(name, checkpoint);
  }
  return checkpoint;
}

const plain = { steps: 2, seed: 7 };
const text = { ...plain, prompt: "a fox", guidance: 3 };
const objects = [{ category: 3, box: [0.1, 0.2, 0.6, 0.9] as const }];

/** A task, the model it is for, and what the library's method is asked. */
const cases: readonly [string, PictureTask, (model: LatentDiffusion) => Promise<Picture | Picture[]>][] = [
  [
    "text_ddim",
    { task: "generate", ...text, ...size, negativePrompt: "a cat", guidanceRescale: 0.5, sampler: "dpm++" },
    (model) => model.textToImage({ ...text, ...size, negativePrompt: "a cat", guidanceRescale: 0.5, sampler: "dpm++" }),
  ],
  [
    "text_ddim",
    { task: "generate", ...text, ...size, images: 2, noise: "device", eta: 1 },
    (model) => model.textToImage({ ...text, ...size, images: 2, noise: "device", eta: 1 }),
  ],
  ["unconditional", { task: "generate", ...plain, ...size }, (model) => model.unconditional({ ...plain, ...size })],
  [
    "ldm_layout",
    { task: "generate", ...plain, ...size, objects },
    (model) => model.layoutToImage({ ...plain, ...size, objects }),
  ],
  [
    "text_ddim",
    { task: "img2img", ...text, image: "image.png", strength: 0.6 },
    (model) => model.imageToImage({ ...text, image, strength: 0.6 }),
  ],
  [
    "text_ddim",
    { task: "inpaint", ...text, image: "image.png", mask: "mask.png", composite: true },
    (model) => model.inpaint({ ...text, image, mask, composite: true }),
  ],
  [
    "inpaint9_full",
    { task: "inpaint", ...text, image: "image.png", mask: "mask.png", strength: 0.7 },
    (model) => model.inpaint({ ...text, image, mask, strength: 0.7 }),
  ],
  [
    "text_ddim",
    { task: "outpaint", ...text, image: "image.png", left: 8, bottom: 4 },
    (model) => model.outpaint({ ...text, image, left: 8, bottom: 4 }),
  ],
  [
    "super_resolution",
    { task: "upscale", ...plain, image: "small.png" },
    (model) => model.upscale({ ...plain, image: small }),
  ],
  [
    "upscale",
    { task: "upscale", ...plain, guidance: 3, image: "small.png", noiseLevel: 40 },
    (model) => model.upscale({ ...plain, guidance: 3, image: small, noiseLevel: 40, prompt: "" }),
  ],
];

describeOneAdapter("a task of the command line is that of the library", ({ name }) => {
  let engine: Engine;
  const models = new Map<string, Promise<LatentDiffusion>>();
  beforeAll(async () => {
    engine = await createEngine({ adapter: (await openAdapter(name))!, dtype: "f32" });
  });
  afterAll(() => engine.dispose());

  it.each(cases)("%s: %j", async (modelName, task, expected) => {
    const checkpoint = await checkpointOf(modelName);
    const model = await (models.get(modelName) ?? engine.load(checkpoint));
    models.set(modelName, Promise.resolve(model));
    const prepared = await prepareTask(task, checkpoint, folder);
    expect(prepared.notes).toEqual([]);
    const drawn = await prepared.draw(model, {});
    const wanted = [await expected(model)].flat();
    const facts = ({ milliseconds: _time, ...picture }: Picture) => picture;
    expect(drawn.map(facts)).toEqual(wanted.map(facts));
  });

  it("hands the memory budget over", async () => {
    const checkpoint = await checkpointOf("text_ddim");
    const model = await engine.load(checkpoint);
    const prepared = await prepareTask({ task: "generate", ...text, ...size, memoryBudget: 1000 }, checkpoint, folder);
    await expect(prepared.draw(model, {})).rejects.toThrow("the budget is 1000");
  });
});

describe("without a device", () => {
  it("brings pictures to a size that the model takes, and says so", async () => {
    const checkpoint = await checkpointOf("text_ddim");
    const { sizeMultiple } = checkpoint;
    expect([30 % sizeMultiple, 25 % sizeMultiple]).not.toContain(0);
    const task = { task: "inpaint", ...text, image: "odd.png", mask: "small.png" } as const;
    const { notes } = await prepareTask(task, checkpoint, folder);
    const side = (pixels: number) => Math.round(pixels / sizeMultiple) * sizeMultiple;
    const fitted = `${side(30)} x ${side(25)}`;
    expect(notes).toEqual([
      `odd.png: resized from 30 x 25 to ${fitted} (sides are multiples of ${sizeMultiple})`,
      `small.png: resized from 12 x 8 to ${fitted} (the size of the image)`,
    ]);
    const asked = { task: "img2img", ...text, image: "image.png", width: 64 } as const;
    expect((await prepareTask(asked, checkpoint, folder)).notes).toEqual([
      "image.png: resized from 32 x 24 to 64 x 48 (as asked)",
    ]);
  });

  const asked = {
    guidance: 3,
    steps: 2,
    images: 2,
    sampler: "ddim",
    spacing: "trailing",
    memoryBudget: 2 ** 20,
  } as const;
  it.each<[string, string, PictureTask, { width?: number; height?: number }]>([
    ["of a size", "text_ddim", { task: "generate", ...text, ...size }, size],
    ["of the size of training", "text_ddim", { task: "generate", ...text }, {}],
    ["of the image's size", "text_ddim", { task: "img2img", ...text, image: "image.png" }, size],
    [
      "of the size it is brought to",
      "text_ddim",
      { task: "img2img", ...text, image: "image.png", width: 64 },
      { width: 64, height: 48 },
    ],
    [
      "of the painted image's size",
      "text_ddim",
      { task: "inpaint", ...text, image: "image.png", mask: "mask.png" },
      size,
    ],
    [
      "with margins",
      "text_ddim",
      { task: "outpaint", ...text, image: "image.png", left: 8, bottom: 4 },
      { width: 40, height: 28 },
    ],
    ["of four times the size", "upscale", { task: "upscale", ...plain, image: "small.png" }, { width: 48, height: 32 }],
    [
      "of the largest size",
      "upscale",
      { task: "upscale", ...plain, image: "small.png", width: 1200, height: 8 },
      { width: 4096, height: 32 },
    ],
  ])("tells what decides the programs of a picture %s", async (_, model, task, shape) => {
    const checkpoint = await checkpointOf(model);
    const prepared = await prepareTask({ ...task, ...asked }, checkpoint, folder);
    expect(prepared.shape).toEqual({ ...asked, ...shape });
    await requestGraphs(checkpoint, prepared.shape, { dtype: "f32" }); // accepts it
  });

  it.each<[string, string, PictureTask, string]>([
    ["no prompt", "text_ddim", { task: "generate" }, "prompt: this model is conditioned on a text, got none"],
    ["a blank prompt", "text_ddim", { task: "generate", prompt: " " }, "prompt: expected 1 to "],
    [
      "a prompt too many",
      "unconditional",
      { task: "generate", prompt: "a fox" },
      "prompt: this model is unconditional",
    ],
    ["a label", "text_ddim", { task: "generate", ...text, label: 3 }, "label: this model is conditioned on a text"],
    [
      "a batch of none",
      "text_ddim",
      { task: "generate", ...text, images: 0 },
      "images: expected an integer from 1 to 64",
    ],
    [
      "another task",
      "text_ddim",
      { task: "upscale", ...plain, image: "small.png" },
      "upscale: the model's denoiser takes no",
    ],
    [
      "the other way",
      "super_resolution",
      { task: "generate", ...plain },
      "generate: the model's denoiser takes a low-",
    ],
    ["no image", "text_ddim", { task: "img2img", ...text }, "image: expected a file's path, got undefined"],
    ["no mask", "text_ddim", { task: "inpaint", ...text, image: "image.png" }, "mask: expected a file's path"],
    [
      "strength",
      "text_ddim",
      { task: "img2img", ...text, image: "image.png", strength: 2 },
      "strength: expected a number",
    ],
    [
      "too little strength",
      "text_ddim",
      { task: "inpaint", ...text, image: "image.png", mask: "mask.png", strength: 0.1 },
      "strength: 0.1 of 2 steps leaves none",
    ],
    [
      "an odd width",
      "text_ddim",
      { task: "img2img", ...text, image: "image.png", width: 33 },
      "width: expected a multiple",
    ],
    ["no margin", "text_ddim", { task: "outpaint", ...text, image: "image.png" }, "outpaint: expected pixels to add"],
    [
      "an odd margin",
      "text_ddim",
      { task: "outpaint", ...text, image: "image.png", left: 5 },
      "left + image + right: ",
    ],
    [
      "too much noise",
      "super_resolution",
      { task: "upscale", ...plain, image: "small.png", noiseLevel: 2 },
      "noiseLevel: ",
    ],
  ])("%s is refused", async (_, model, task, message) => {
    await expect(prepareTask(task, await checkpointOf(model), folder)).rejects.toThrow(message);
  });
});
