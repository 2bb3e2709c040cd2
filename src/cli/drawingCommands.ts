import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { invariant, WebldmError } from "../core/invariant.js";
import { oneLine } from "../weights/oneLine.js";
import { defined } from "./defined.js";
import { drawPictures } from "./drawPictures.js";
import { numberOption } from "./numbers.js";
import type { PictureTask, TaskName } from "./pictureTask.js";
import { addDrawingOptions, addSizeOptions, type DrawingOptions, samplingOf } from "./sharedOptions.js";

/** Options of the single tasks, besides those that all share. */
interface TaskOptions extends DrawingOptions, Omit<PictureTask, "task" | "image" | "mask" | "prompt" | "objects"> {
  readonly negative?: string;
  /** A file. */
  readonly objects?: string;
}

/** Adds the commands that draw pictures. `run` keeps the status that each ends with. */
export function addDrawingCommands(
  program: Command,
  signal: AbortSignal,
  run: (work: Promise<number>) => Promise<void>,
): void {
  const start = (task: TaskName, files: Pick<PictureTask, "image" | "mask" | "prompt">, options: TaskOptions) =>
    run(taskOf(task, files, options).then((request) => drawPictures(request, options, signal)));

  conditioned(program.command("generate").description("draw a picture from a prompt, a class, a layout, or nothing"))
    .argument("[prompt]", "what the picture shows; nothing for models that are not conditioned on a text")
    .action((prompt: string | undefined, options: TaskOptions) => start("generate", defined({ prompt }), options));

  conditioned(program.command("img2img").description("draw a picture anew"))
    .argument("<image>", "the picture to begin with: PNG, JPEG, BMP, GIF or TIFF")
    .argument("[prompt]", "what the new picture shows")
    .addOption(strength(program, "the share of the way that is walked: near 0 the picture stays; 0.8 when absent"))
    .action((image: string, prompt: string | undefined, options: TaskOptions) =>
      start("img2img", defined({ image, prompt }), options),
    );

  painting(program.command("inpaint").description("paint a part of a picture anew"))
    .argument("<image>", "the picture")
    .argument("<mask>", "a picture of its size: what is white is painted anew, what is black stays")
    .argument("[prompt]", "what the picture shows in the end")
    .action((image: string, mask: string, prompt: string | undefined, options: TaskOptions) =>
      start("inpaint", defined({ image, mask, prompt }), options),
    );

  const outpaint = painting(program.command("outpaint").description("continue a picture beyond its borders"))
    .argument("<image>", "the picture")
    .argument("[prompt]", "what the picture shows in the end")
    .action((image: string, prompt: string | undefined, options: TaskOptions) =>
      start("outpaint", defined({ image, prompt }), options),
    );
  for (const name of ["left", "right", "top", "bottom"]) {
    outpaint.option(`--${name} <pixels>`, `pixels to add at the ${name}`, numberOption(`--${name}`));
  }

  conditioned(program.command("upscale").description("draw a picture with four times the pixels along each side"))
    .argument("<image>", "the small picture")
    .argument("[prompt]", "what it shows, for models that take a text")
    .option(
      "--noise-level <n>",
      "how much the upscaler may invent, mostly 0 to 350; 20 when absent",
      numberOption("--noise-level"),
    )
    .action((image: string, prompt: string | undefined, options: TaskOptions) =>
      start("upscale", defined({ image, prompt }), options),
    );

  for (const [name, text] of Object.entries(examples)) {
    program.commands.find((command) => command.name() === name)!.addHelpText("after", `\nExamples:\n${text}`);
  }
}

const examples: Readonly<Record<TaskName, string>> = {
  generate: `  webldm generate "a lighthouse at dusk" --seed 42 --out lighthouse.png
  webldm generate --model cin256.ckpt --label 207 --steps 50 --guidance 3 --images 4`,
  img2img: `  webldm img2img sketch.jpg "a castle on a hill" --strength 0.6 --model ./stable-diffusion-v1-5`,
  inpaint: `  webldm inpaint room.png chair-mask.png "an armchair" --model ./stable-diffusion-inpainting --composite`,
  outpaint: `  webldm outpaint beach.png "a beach at noon" --left 128 --right 128 --model ./stable-diffusion-v1-5`,
  upscale: `  webldm upscale small.png --model bsr_sr.ckpt --steps 100
  webldm upscale small.png "a white cat" --noise-level 40 --model ./stable-diffusion-x4-upscaler`,
};

/** What a picture shows, its size, and all that the commands share. */
function conditioned(command: Command): Command {
  command
    .option("--negative <text>", "what the picture should not show")
    .option("--label <n>", "the class, for class-conditional models", numberOption("--label"))
    .option("--objects <file>", 'the layout, for models of layouts: JSON as [{"category": 1, "box": [0, 0, 1, 1]}]');
  addSizeOptions(command, command.name() === "generate" ? undefined : "the size of the given picture when absent");
  return addDrawingOptions(command);
}

function painting(command: Command): Command {
  return conditioned(command)
    .addOption(strength(command, "less than 1 begins with the noised picture; 1 when absent"))
    .option("--composite", "put the picture's own pixels back where nothing is painted")
    .option("--no-composite", "take the whole picture as it is decoded; the model's own way when neither is given");
}

const strength = (command: Command, description: string) =>
  command.createOption("--strength <s>", description).argParser(numberOption("--strength"));

async function taskOf(
  task: TaskName,
  files: Pick<PictureTask, "image" | "mask" | "prompt">,
  options: TaskOptions,
): Promise<PictureTask> {
  const { negative, label, strength, composite, left, right, top, bottom, noiseLevel, width, height } = options;
  const objects = options.objects === undefined ? undefined : await readObjects(options.objects);
  const own = { negativePrompt: negative, label, objects, strength, composite, left, right, top, bottom };
  return { task, ...files, ...samplingOf(options), ...defined({ ...own, noiseLevel, width, height }) };
}

async function readObjects(file: string): Promise<NonNullable<PictureTask["objects"]>> {
  invariant(existsSync(file), `--objects: expected a JSON file, '${file}' does not exist`);
  try {
    return JSON.parse((await readFile(file, "utf8")).replace(/^\uFEFF/, "")); // editors on Windows write such a mark
  } catch (error) {
    throw new WebldmError(`${file}: is not valid JSON: ${oneLine(error)}`);
  }
}
