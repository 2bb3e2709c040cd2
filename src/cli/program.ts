import type { Command } from "commander";
import { type BatchOptions, batch } from "./batch/batch.js";
import { type BenchOptions, bench } from "./bench.js";
import { completion, type Shell, shells } from "./completion.js";
import { conformance } from "./conformance/command.js";
import { type ConvertOptions, convert } from "./convert.js";
import { openDevice } from "./dawn.js";
import { defined } from "./defined.js";
import { addDrawingCommands } from "./drawingCommands.js";
import { type EstimateCommandOptions, estimateModel } from "./estimate.js";
import { inspect } from "./inspect.js";
import type { ModelFlags } from "./modelPath.js";
import { numberOption, sizeOption } from "./numbers.js";
import { optional } from "./optional.js";
import { packageVersion } from "./packageRoot.js";
import { serve } from "./serve.js";
import {
  addCompanionOptions,
  addDeviceOptions,
  addImagesOption,
  addMemoryOption,
  addModelOptions,
  addSamplingOptions,
  addSizeOptions,
  addTuningOptions,
} from "./sharedOptions.js";
import { translation } from "./translation.js";
import { type TuneCommandOptions, tune } from "./tune.js";

const examples = `
Examples:
  webldm generate "a lighthouse at dusk" --seed 42 --out lighthouse.png
  webldm generate "a red fox" --model ./stable-diffusion-v1-5 --steps 30 --guidance 7.5
  webldm img2img sketch.jpg "a castle on a hill" --strength 0.6
  webldm batch jobs.jsonl --out pictures --shard 0/4
  webldm estimate ./stable-diffusion-v1-5 --width 768
  webldm tune ./stable-diffusion-v1-5 --seconds 60
  webldm inspect v1-5-pruned-emaonly.ckpt
  webldm convert v1-5-pruned-emaonly.ckpt sd15-f16 --dtype f16
  webldm convert ./stable-diffusion-v1-5 sd15-shards --shard-size 100MB
  webldm conformance golden --filter unet/ --dtype f16 --json
  webldm serve --port 8080

Environment:
  WEBLDM_ADAPTER   part of the name of the graphics adapter to use
  WEBLDM_CACHE     the folder where fetched models are kept
  WEBLDM_TOKEN     access token of the hub
  DAWN_GPU_FLAGS   options for Dawn, such as enable-dawn-features=allow_unsafe_apis

Each command has a help of its own: webldm generate --help.

Exit status: 0 done, 1 failure, 2 bad input, 3 conformance: nothing failed, but some cases cannot run yet.`;

const batchHelp = `
The other options hold for lines that do not say otherwise; --seed is that of the first line, 0 when absent.
Without --shard, a Kubernetes Indexed Job (JOB_COMPLETION_INDEX, JOB_COMPLETIONS) or a Slurm array gives the shard.

Example: jobs.jsonl
  {"prompt": "a red fox", "seed": 7}
  {"task": "img2img", "image": "sketch.png", "prompt": "a castle", "strength": 0.6, "name": "castle"}

  webldm batch jobs.jsonl --out pictures --steps 30
  webldm batch jobs.jsonl --out pictures --shard 0/4

Exit status: 0 all jobs are done, 1 some failed (see the results), 2 bad input.`;

const tuneHelp = `
Pictures with a table differ from those without by rounding; with one table they have the same bytes.

Examples:
  webldm tune ./stable-diffusion-v1-5 --seconds 60
  webldm generate "a red fox" --model ./stable-diffusion-v1-5 --tune
  webldm tune ./stable-diffusion-v1-5 --width 768 --out tuning.json
  webldm generate "a red fox" --model ./stable-diffusion-v1-5 --width 768 --tuning tuning.json`;

/** What a command ends with. */
export interface Outcome {
  status: number;
}

/** The commands and their options. The status of the one that ran is left in `outcome`. */
export async function buildProgram(outcome: Outcome, signal: AbortSignal): Promise<Command> {
  const { Command, Option } = await optional("commander", () => import("commander"));
  const dtype = () => new Option("--dtype <type>", "f32, or f16 where the adapter has it").choices(["f32", "f16"]);
  const program = new Command("webldm")
    .description("Latent diffusion on WebGPU.")
    .version(packageVersion())
    .addHelpText("after", examples)
    .configureOutput({ writeErr: () => undefined }) // errors are thrown, and said once
    .exitOverride();

  const run = async (work: Promise<number>): Promise<void> => {
    outcome.status = await work;
  };
  addDrawingCommands(program, signal, run);

  const sampled = (name: string) => addSizeOptions(addSamplingOptions(addModelOptions(program.command(name))));
  addDeviceOptions(addTuningOptions(addMemoryOption(addImagesOption(sampled("batch")))))
    .description("draw what each line of a file asks for; run again, it goes on where it was stopped")
    .argument("<jobs>", "a JSON object a line, with the options of a task by their names")
    .requiredOption("--out <folder>", "where pictures and results.jsonl go")
    .option("--shard <i/n>", "only the jobs whose line from 0 leaves i when divided by n")
    .addHelpText("after", batchHelp)
    .action((jobs: string, options: BatchOptions) => run(batch(jobs, options, signal)));

  addDeviceOptions(addMemoryOption(addImagesOption(addSizeOptions(addCompanionOptions(program.command("estimate"))))))
    .description("tell what a model and a picture take, in bytes; reads headers only")
    .argument("[model]", "a model as --model takes it elsewhere; weights/sticker of the repository when absent")
    .option("--guidance <g>", "1 spares the unconditional half of each step", numberOption("--guidance"))
    .option("--check", "ask this machine's graphics adapter whether it can do it")
    .addHelpText("after", "\nExample:\n  webldm estimate ./stable-diffusion-v1-5 --width 768 --height 512 --dtype f16")
    .action((model: string | undefined, options: EstimateCommandOptions) =>
      run(estimateModel({ ...options, ...(model === undefined ? {} : { model }) }, signal)),
    );

  program
    .command("inspect")
    .description("show the tensors of a file of weights (.safetensors, .ckpt, .pt, .pth, .bin) or of a folder of them")
    .argument("<file>", "a file or a folder; nothing in it is ever run")
    .option("--json", "print one JSON object")
    .action(async (path: string, { json = false }: { json?: boolean }) => {
      outcome.status = await inspect(path, json);
    });

  program
    .command("convert")
    .description("write a model as a folder of safetensors that pages load fast")
    .argument("<input>", "a folder in diffusers layout, or a file (.safetensors, .ckpt, .pt, .pth, .bin)")
    .argument("<output>", "a new folder; it appears when all of it is written")
    .addOption(
      new Option("--dtype <type>", "convert floating tensors; all keep their bits when absent").choices([
        "f16",
        "f32",
        "bf16",
      ]),
    )
    .option("--config <file>", "the original code's YAML of a single file; told from the tensors when absent")
    .option("--no-ema", "take the raw weights of a single file, not their running averages")
    .option(
      "--shard-size <size>",
      "largest file of weights: 100MB, 1GiB; 512MB when absent",
      sizeOption("--shard-size"),
    )
    .option("--json", "print one JSON object")
    .action(async (input: string, output: string, flags: Omit<ConvertOptions, "translate"> & ModelFlags) => {
      const { config, ema, ...options } = flags;
      const note = (text: string) => process.stderr.write(`webldm: warning: ${text}\n`);
      const translate = await translation(defined({ config, ema }), note);
      outcome.status = await convert(input, output, { ...options, translate }, signal);
    });

  addDeviceOptions(addTuningOptions(sampled("bench")))
    .description("measure how fast this machine draws: medians of sampling, steps and decoding")
    .argument("[prompt]", "what is drawn; any will do")
    .option("--label <n>", "the class, for class-conditional models", numberOption("--label"))
    .option("--repeats <n>", "pictures that count, besides the first; 5 when absent", numberOption("--repeats"))
    .addHelpText("after", "\nExample:\n  webldm bench --model ./stable-diffusion-v1-5 --steps 20 --repeats 3 --json")
    .action((prompt: string | undefined, options: BenchOptions) => run(bench(prompt, options, signal)));

  addDeviceOptions(addMemoryOption(addImagesOption(addSizeOptions(addCompanionOptions(program.command("tune"))))))
    .description("find out which forms of a model's kernels are the fastest on this machine; reads no weights")
    .argument("[model]", "a model as --model takes it elsewhere; weights/sticker of the repository when absent")
    .option("--guidance <g>", "1 spares the unconditional half of each step", numberOption("--guidance"))
    .option("--seconds <n>", "what the measuring may take; 30 when absent", numberOption("--seconds"))
    .option("--again", "measure what was measured before as well")
    .option("--out <file>", "where the table is written to as JSON, besides being kept for --tune")
    .addHelpText("after", tuneHelp)
    .action((model: string | undefined, options: TuneCommandOptions) =>
      run(tune({ ...options, ...defined({ model }) }, signal)),
    );

  program
    .command("conformance")
    .description("compare this machine's results with stored reference results")
    .argument("<folder>", "the reference data")
    .option("--filter <text>", "only cases whose name contains this")
    .addOption(dtype().default("f32"))
    .option("--adapter <name>", "part of the adapter's name")
    .option("--json", "print a JSON object per case")
    .action(async (folder: string, options: ConformanceFlags) => {
      const { filter, dtype: precision, adapter, json = false } = options;
      const open = () => openDevice(adapter);
      outcome.status = await conformance({
        folder,
        precision,
        json,
        openDevice: open,
        signal,
        ...(filter === undefined ? {} : { filter }),
      });
    });

  program
    .command("serve")
    .description("serve the page on this machine")
    .option("--port <n>", "the first port to try; 8080 when absent", numberOption("--port"))
    .action(async ({ port }: { port?: number }) => {
      const server = await serve(port === undefined ? {} : { port });
      await new Promise<void>((done) => {
        signal.addEventListener("abort", () => done(), { once: true });
      });
      await server.close();
    });

  program
    .command("completion")
    .description("print the script with which a shell completes commands and options")
    .addArgument(program.createArgument("<shell>", "the shell").choices(shells))
    .addHelpText("after", "\nExample:\n  source <(webldm completion bash)\n  webldm completion fish | source")
    .action((shell: Shell) => {
      process.stdout.write(completion(program, shell));
    });

  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => undefined });
  return program;
}

interface ConformanceFlags {
  readonly filter?: string;
  readonly dtype: "f32" | "f16";
  readonly adapter?: string;
  readonly json?: boolean;
}
