import type { Command } from "commander";
import type { SamplingOptions } from "../index.js";
import { spacings } from "../pipeline/request.js";
import type { RequestShape } from "../pipeline/requestGraphs.js";
import { samplerNames } from "../sampling/sampler.js";
import { defined } from "./defined.js";
import type { ModelFlags } from "./modelPath.js";
import { numberOption, sizeOption } from "./numbers.js";

/** How a picture is sampled, as the command line has it: the library's options under the library's names. */
export type SamplingFlags = Pick<
  SamplingOptions,
  | "steps"
  | "guidance"
  | "guidanceRescale"
  | "sampler"
  | "spacing"
  | "seed"
  | "noise"
  | "eta"
  | "images"
  | "memoryBudget"
>;

/** The model, with what may accompany it. */
export interface ModelOptions extends ModelFlags {
  readonly model?: string;
}

export interface DeviceOptions {
  readonly dtype?: "f32" | "f16";
  readonly json?: boolean;
}

/** Which forms of kernels run. */
export interface TuningFlags {
  /** Those that are the fastest on this adapter: measured when they are first asked for. */
  readonly tune?: boolean;
  /** Those of a file. */
  readonly tuning?: string;
}

/** What is shared by the commands that draw pictures. */
export interface DrawingOptions extends ModelOptions, SamplingFlags, DeviceOptions, TuningFlags {
  readonly out?: string;
}

export function addModelOptions(command: Command): Command {
  command.option(
    "--model <path>",
    "a folder in diffusers layout, a single file, an address, or a hub name (owner/name); weights/sticker of the repository when absent",
  );
  return addCompanionOptions(command);
}

/** What may accompany a model. */
export function addCompanionOptions(command: Command): Command {
  return command
    .option("--config <file>", "the original code's YAML of a single file; told from the tensors when absent")
    .option("--vae <path>", "another first stage in place of the model's own: a folder or a file")
    .option("--tokenizer <folder>", "the vocabulary of a single file; weights/tokenizers of the package when absent")
    .option("--host <address>", "the hub that hub names belong to; https://huggingface.co when absent")
    .option("--no-ema", "take the raw weights of a single file, not their running averages");
}

export function addSamplingOptions(command: Command): Command {
  const choice = (flags: string, description: string, choices: readonly string[]) =>
    command.createOption(flags, description).choices(choices);
  return command
    .option("--steps <n>", "denoising steps, 1 to 1000; the model's own when absent", numberOption("--steps"))
    .option(
      "--guidance <g>",
      "how much to insist on the prompt; 1 follows it as trained; the model's own when absent",
      numberOption("--guidance"),
    )
    .option(
      "--guidance-rescale <r>",
      "0 to 1: pulls the spread of a guided prediction back",
      numberOption("--guidance-rescale"),
    )
    .addOption(choice("--sampler <name>", "the checkpoint's own when absent", samplerNames))
    .addOption(choice("--spacing <way>", "how timesteps are spread; the checkpoint's own when absent", spacings))
    .option("--seed <n>", "an integer; the same seed gives the same picture", numberOption("--seed"))
    .addOption(
      choice(
        "--noise <source>",
        "whose noise the seed stands for: PyTorch's on the CPU (when absent), or the device's own",
        ["torch", "device"],
      ),
    )
    .option(
      "--eta <e>",
      "noise in each DDIM step: 0 none, 1 as much as DDPM; the model's own when absent",
      numberOption("--eta"),
    );
}

export const addImagesOption = (command: Command): Command =>
  command.option(
    "--images <n>",
    "a batch of pictures of seeds that follow each other, 1 to 64",
    numberOption("--images"),
  );

export const addMemoryOption = (command: Command): Command =>
  command.option(
    "--memory-budget <size>",
    "most memory of the autoencoder beside its weights, such as 450MiB: the decoder takes bands of rows beyond it (the same picture but for rounding), then tiles, the encoder tiles",
    sizeOption("--memory-budget"),
  );

export interface SizeFlags {
  readonly width?: number;
  readonly height?: number;
}

/** `otherwise`: what the size is where it is absent. */
export function addSizeOptions(command: Command, otherwise = "the size of training when absent"): Command {
  return command
    .option("--width <pixels>", otherwise, numberOption("--width"))
    .option("--height <pixels>", otherwise, numberOption("--height"));
}

/** Where the numbers are computed, and how it is told. */
export function addDeviceOptions(command: Command): Command {
  return command
    .addOption(dtypeOption(command, "f32, or f16 where the adapter has it"))
    .option("--json", "print one JSON object and nothing else");
}

/** Of the commands that run a model. */
export const addTuningOptions = (command: Command): Command =>
  command
    .option("--tune", "take the fastest forms of kernels on this adapter: measured the first time, then kept")
    .option("--tuning <file>", "take the forms of kernels that a file of `webldm tune --out` names");

export const dtypeOption = (command: Command, description: string) =>
  command.createOption("--dtype <type>", description).choices(["f32", "f16"]);

/** All options that the commands share which draw pictures into a file. */
export function addDrawingOptions(command: Command): Command {
  addMemoryOption(addImagesOption(addSamplingOptions(addModelOptions(command))));
  command.option("--out <file>", "the PNG file; a free name from prompt and seed when absent");
  return addDeviceOptions(addTuningOptions(command));
}

/** The sampling options of a request, from those of the command line. */
export function samplingOf(flags: SamplingFlags): SamplingFlags {
  const { steps, guidance, guidanceRescale, sampler, spacing, seed, noise, eta, images, memoryBudget } = flags;
  return defined({ steps, guidance, guidanceRescale, sampler, spacing, seed, noise, eta, images, memoryBudget });
}

/** What decides the programs of a request for pictures of a size. */
export function shapeOf(flags: SamplingFlags, { width, height }: SizeFlags): RequestShape {
  const { images, guidance, sampler, spacing, steps, memoryBudget } = flags;
  return defined({ width, height, images, guidance, sampler, spacing, steps, memoryBudget });
}
