import { resolve } from "node:path";
import { invariant } from "../core/invariant.js";
import type { Checkpoint, LatentDiffusion, LayoutObject, Picture, PixelImage, SamplingOptions } from "../index.js";
import {
  type Conditioning,
  checkPrompt,
  conditioningField,
  conditioningOf,
  contextOf,
} from "../pipeline/conditioning.js";
import { finite, integer, largestSide, side, validate, validateSize } from "../pipeline/request.js";
import type { RequestShape } from "../pipeline/requestGraphs.js";
import { requireConcat } from "../pipeline/tasks/requireConcat.js";
import { samplerPath } from "../sampling/sampler.js";
import { defined } from "./defined.js";
import { fittingSize, type PictureSize, readPicture, resizeNearest, resizePicture } from "./pictureInput.js";
import { type SamplingFlags, type SizeFlags, samplingOf, shapeOf } from "./sharedOptions.js";

export const taskNames = ["generate", "img2img", "inpaint", "outpaint", "upscale"] as const;
export type TaskName = (typeof taskNames)[number];

/** What the command line can ask a model for: the library's options by their names, pictures by their paths. */
export interface PictureTask extends SamplingFlags {
  readonly task: TaskName;
  readonly prompt?: string;
  readonly negativePrompt?: string;
  readonly label?: number;
  readonly objects?: readonly LayoutObject[];
  readonly categories?: number;
  readonly image?: string;
  /** White is painted anew. */
  readonly mask?: string;
  readonly strength?: number;
  readonly composite?: boolean;
  readonly left?: number;
  readonly right?: number;
  readonly top?: number;
  readonly bottom?: number;
  readonly noiseLevel?: number;
  readonly width?: number;
  readonly height?: number;
}

/** A task whose options were checked against a model and whose pictures were read. */
export interface PreparedTask {
  /** What was done to pictures on the way. */
  readonly notes: readonly string[];
  /** Of what is drawn. */
  readonly shape: RequestShape;
  draw(model: LatentDiffusion, options: Pick<SamplingOptions, "onStep" | "signal">): Promise<Picture[]>;
}

const ofAll = [
  ...["task", "prompt", "negativePrompt", "label", "objects", "categories", "width", "height"],
  ...["steps", "guidance", "guidanceRescale", "sampler", "spacing", "seed", "noise", "eta", "images", "memoryBudget"],
];
const painting = ["image", "strength", "composite"];

/** The fields that each task takes. */
export const taskFields: Readonly<Record<TaskName, ReadonlySet<string>>> = {
  generate: new Set(ofAll),
  img2img: new Set([...ofAll, "image", "strength"]),
  inpaint: new Set([...ofAll, ...painting, "mask"]),
  outpaint: new Set([...ofAll, ...painting, "left", "right", "top", "bottom"]),
  upscale: new Set([...ofAll, "image", "noiseLevel"]),
};

/**
 * Checks everything about a task that can be checked without a graphics device, and reads its pictures, which stand in
 * `folder`.
 * @throws WebldmError that names the option, what was expected and what came
 */
export async function prepareTask(task: PictureTask, checkpoint: Checkpoint, folder = "."): Promise<PreparedTask> {
  const settings = validate(task, checkpoint);
  // An upscaler with a text encoder is mostly asked without a text.
  const wordless = task.task === "upscale" && conditioningField(checkpoint.config) === "prompt";
  const conditioning = conditioningOf(wordless ? { prompt: "", ...task } : task);
  const request = { ...samplingOf(task), ...conditioning };
  const check = (name: string, ...kinds: Parameters<typeof requireConcat>[2]) => {
    requireConcat(checkpoint, { task: name }, kinds);
    const { guidance, seeds } = settings;
    contextOf(checkpoint, conditioning, { guidance, images: seeds.length });
  };
  const shaped = (size: SizeFlags) => shapeOf(task, size);
  const pictures = new Pictures(task, checkpoint.sizeMultiple, folder);
  const { notes } = pictures;
  switch (task.task) {
    case "generate": {
      check("generate", "none");
      if (conditioningField(checkpoint.config) === "prompt") checkPrompt(task.prompt, task.negativePrompt);
      const size = defined({ width: task.width, height: task.height });
      validateSize(size, checkpoint);
      const draw: PreparedTask["draw"] = (model, hooks) =>
        fromNoise(model, checkpoint, { ...request, ...size, ...hooks });
      return { notes, shape: shaped(size), draw };
    }
    case "img2img": {
      check("img2img", "none");
      const { strength } = task;
      checkStrength(settings, strength ?? 0.8);
      const image = await pictures.image();
      const all = { ...request, image, ...defined({ strength }) };
      return {
        notes,
        shape: shaped(image),
        draw: async (model, hooks) => listed(await model.imageToImage({ ...all, ...hooks })),
      };
    }
    case "inpaint": {
      check("inpaint", "none", "inpaint", "maskedImage");
      const options = paintingOptions(settings, task);
      const image = await pictures.image();
      const all = { ...request, ...options, image, mask: await pictures.mask(image) };
      return {
        notes,
        shape: shaped(image),
        draw: async (model, hooks) => listed(await model.inpaint({ ...all, ...hooks })),
      };
    }
    case "outpaint": {
      check("outpaint", "none", "inpaint", "maskedImage");
      const options = paintingOptions(settings, task);
      const { left = 0, right = 0, top = 0, bottom = 0 } = task;
      const margins = { left, right, top, bottom };
      for (const [name, pixels] of Object.entries(margins)) integer(name, pixels, 0, 4096);
      invariant(left + right + top + bottom > 0, "outpaint: expected pixels to add at some side, got none");
      const image = await pictures.image();
      const size = { width: left + image.width + right, height: top + image.height + bottom };
      side("left + image + right", size.width, checkpoint.sizeMultiple);
      side("top + image + bottom", size.height, checkpoint.sizeMultiple);
      const all = { ...request, ...options, ...margins, image };
      return {
        notes,
        shape: shaped(size),
        draw: async (model, hooks) => listed(await model.outpaint({ ...all, ...hooks })),
      };
    }
    case "upscale": {
      check("upscale", "image", "lowResolution");
      const { concat } = checkpoint.config;
      const { noiseLevel } = task;
      const levels = concat.kind === "lowResolution" ? concat.noiseLevels : 1;
      if (noiseLevel !== undefined) integer("noiseLevel", noiseLevel, 0, levels - 1);
      const image = await pictures.image(1); // any size will do: what is drawn is four times as large
      const all = { ...request, image, ...defined({ noiseLevel }) };
      // The latent is of the picture's size. Sides beyond the largest of a request have no shape of their own.
      const drawn = (side: number) => Math.min(side * checkpoint.sizeMultiple, largestSide);
      const shape = shaped({ width: drawn(image.width), height: drawn(image.height) });
      return { notes, shape, draw: async (model, hooks) => listed(await model.upscale({ ...all, ...hooks })) };
    }
  }
}

/** A strength that leaves no step to be done is refused, too. */
function checkStrength(settings: ReturnType<typeof validate>, strength: number): void {
  finite("strength", strength, 0, 1);
  samplerPath(settings.scheduler, { ...settings, strength });
}

function paintingOptions(settings: ReturnType<typeof validate>, { strength, composite }: PictureTask) {
  if (strength !== undefined && strength !== 1) checkStrength(settings, strength);
  const isSwitch = composite === undefined || typeof composite === "boolean";
  invariant(isSwitch, () => `composite: expected true or false, got ${JSON.stringify(composite)}`);
  return defined({ strength, composite });
}

type FromNoise = SamplingOptions & Conditioning & Partial<PictureSize>;

/** The method that a model draws with from noise is told by what it is conditioned on. */
async function fromNoise(model: LatentDiffusion, { config }: Checkpoint, request: FromNoise): Promise<Picture[]> {
  const { label, objects } = request;
  if (label !== undefined) return listed(await model.classToImage({ ...request, label }));
  if (objects !== undefined) return listed(await model.layoutToImage({ ...request, objects }));
  if (conditioningField(config) === undefined) return listed(await model.unconditional(request));
  return listed(await model.textToImage(request));
}

const listed = (drawn: Picture | Picture[]): Picture[] => [drawn].flat();

/** Pictures of a task in the sizes that the model takes. */
class Pictures {
  readonly notes: string[] = [];

  constructor(
    private readonly task: PictureTask,
    private readonly multiple: number,
    private readonly folder: string,
  ) {}

  async image(multiple = this.multiple): Promise<PixelImage> {
    const { width, height } = this.task;
    for (const [name, value] of Object.entries(defined({ width, height }))) side(name, value, multiple);
    const picture = await this.read("image");
    const size = fittingSize(picture, { width, height }, multiple);
    side("width of the image", size.width, multiple);
    side("height of the image", size.height, multiple);
    const why = `sides are multiples of ${multiple}`;
    this.tell("image", picture, size, width === undefined && height === undefined ? why : "as asked");
    return resizePicture(picture, size);
  }

  async mask(image: PictureSize): Promise<PixelImage> {
    const mask = await this.read("mask");
    this.tell("mask", mask, image, "the size of the image");
    return resizeNearest(mask, image);
  }

  private read(field: "image" | "mask"): Promise<PixelImage> {
    const path = this.task[field];
    invariant(typeof path === "string" && path !== "", () => `${field}: expected a file's path, got ${path}`);
    return readPicture(resolve(this.folder, path));
  }

  private tell(field: "image" | "mask", from: PictureSize, to: PictureSize, why: string): void {
    if (from.width === to.width && from.height === to.height) return;
    const path = this.task[field];
    this.notes.push(`${path}: resized from ${from.width} x ${from.height} to ${to.width} x ${to.height} (${why})`);
  }
}
