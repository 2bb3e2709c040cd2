import type { Command } from "commander";
import { spacings } from "../pipeline/request.js";
import { samplerNames } from "../sampling/sampler.js";
import { conformance } from "./conformance/command.js";
import { type ConvertOptions, convert, shardSizeOption } from "./convert.js";
import { openDevice } from "./dawn.js";
import { type GenerateOptions, generate } from "./generate.js";
import { inspect } from "./inspect.js";
import type { ModelFlags } from "./modelPath.js";
import { numberOption } from "./numbers.js";
import { optional } from "./optional.js";
import { packageVersion } from "./packageRoot.js";
import { serve } from "./serve.js";
import { translation } from "./translation.js";

const examples = `
Examples:
  webldm generate "a lighthouse at dusk" --seed 42 --out lighthouse.png
  webldm generate "a red fox" --model ./stable-diffusion-v1-5 --steps 30 --guidance 7.5
  webldm inspect v1-5-pruned-emaonly.ckpt
  webldm convert v1-5-pruned-emaonly.ckpt sd15-f16 --dtype f16
  webldm convert ./stable-diffusion-v1-5 sd15-shards --shard-size 100MB
  webldm conformance golden --filter unet/ --dtype f16 --json
  webldm serve --port 8080

Environment:
  WEBLDM_ADAPTER   part of the name of the graphics adapter to use
  DAWN_GPU_FLAGS   options for Dawn, such as enable-dawn-features=allow_unsafe_apis

Exit status: 0 done, 1 failure, 2 bad input, 3 conformance: nothing failed, but some cases cannot run yet.`;

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

  program
    .command("generate")
    .description("draw a picture from a prompt")
    .argument("<prompt>", "what the picture shows")
    .option("--negative <text>", "what it should not show")
    .option(
      "--model <path>",
      "a model in diffusers layout, or a single file; weights/sticker of the repository when absent",
    )
    .option("--config <file>", "the original code's YAML of a single file; told from the tensors when absent")
    .option("--vae <path>", "another first stage in place of the model's own: a folder or a file")
    .option("--tokenizer <folder>", "the vocabulary of a single file; weights/tokenizers of the package when absent")
    .option("--no-ema", "take the raw weights of a single file, not their running averages")
    .option("--steps <n>", "denoising steps, 1 to 1000", numberOption("--steps"))
    .option("--guidance <g>", "how much to insist on the prompt; 1 follows it as trained", numberOption("--guidance"))
    .option("--seed <n>", "an integer; the same seed gives the same picture", numberOption("--seed"))
    .addOption(new Option("--sampler <name>", "the checkpoint's own when absent").choices([...samplerNames]))
    .addOption(
      new Option("--spacing <way>", "how timesteps are spread; the checkpoint's own when absent").choices(spacings),
    )
    .option(
      "--guidance-rescale <r>",
      "0 to 1: pulls the spread of a guided prediction back",
      numberOption("--guidance-rescale"),
    )
    .addOption(
      new Option(
        "--noise <source>",
        "whose noise the seed stands for: PyTorch's on the CPU, or the device's own",
      ).choices(["torch", "device"]),
    )
    .option("--eta <e>", "noise in each step: 0 none, 1 as much as DDPM", numberOption("--eta"))
    .option("--width <pixels>", "the size of training when absent", numberOption("--width"))
    .option("--height <pixels>", "the size of training when absent", numberOption("--height"))
    .option("--out <file>", "the PNG file; a free name from prompt and seed when absent")
    .addOption(dtype())
    .option("--json", "print one JSON object and nothing else")
    .action(async (prompt: string, options: GenerateOptions) => {
      outcome.status = await generate(prompt, options, signal);
    });

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
    .option("--shard-size <size>", "largest file of weights: 100MB, 1GiB; 512MB when absent", shardSizeOption)
    .option("--json", "print one JSON object")
    .action(async (input: string, output: string, flags: Omit<ConvertOptions, "translate"> & ModelFlags) => {
      const { config, ema, ...options } = flags;
      const translate = await translation({ ...(config ? { config } : {}), ...(ema === undefined ? {} : { ema }) });
      outcome.status = await convert(input, output, { ...options, translate }, signal);
    });

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
    .option("--port <n>", "the first port to try", numberOption("--port"))
    .action(async ({ port }: { port?: number }) => {
      const server = await serve(port === undefined ? {} : { port });
      await new Promise<void>((done) => {
        signal.addEventListener("abort", () => done(), { once: true });
      });
      await server.close();
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
