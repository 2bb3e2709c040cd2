import { existsSync } from "node:fs";
import { join } from "node:path";
import { invariant, UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { parseAutoencoderConfig } from "../../models/autoencoder.js";
import { parseClipConfig } from "../../models/clip.js";
import { parseUNetConfig } from "../../models/unetConfig.js";
import type { Checkpoint } from "../../pipeline/checkpoint.js";
import { LatentDecoder } from "../../pipeline/firstStage.js";
import { latentFactor, type ModelConfig } from "../../pipeline/modelConfig.js";
import { Programs } from "../../pipeline/programs.js";
import { samplerPath } from "../../sampling/sampler.js";
import { parseSchedulerConfig, type SchedulerConfig } from "../../sampling/schedule.js";
import { openComponent } from "../../weights/checkpoint.js";
import { type Folder, readJson } from "../../weights/folder.js";
import { folderFromPath } from "../../weights/node.js";
import type { Case } from "./case.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import type { Lab } from "./lab.js";
import { limits } from "./limits.js";
import { readPythonJson } from "./pythonJson.js";
import { clipTokenizerIn } from "./tokenizers.js";
import { channelsFirst, channelsLast, type Values } from "./values.js";

/** A whole pipeline in diffusers layout: `NAME-diffusers/` and `NAME-diffusers.io.safetensors`. */
export interface PipelinePaths {
  /** The folder of the reference data. */
  readonly root: string;
  /** The model's folder. */
  readonly folder: string;
  /** `ldm/sd-diffusers`. */
  readonly name: string;
}

/** One case for each sampler whose results are stored. */
export async function pipelineCases(paths: PipelinePaths): Promise<Case[]> {
  const { folder, name } = paths;
  const failed = (error: unknown): Case[] => [{ name, kind: "loop", run: async () => Promise.reject(error) }];
  try {
    const io = await GoldenFile.open(`${folder}.io.safetensors`);
    const samplers = new Set(io.names("out.").map((tensor) => tensor.split(".")[1]!));
    invariant(samplers.size > 0, `${io.path} holds no results`);
    return [...samplers].sort().map((sampler) => ({
      name: `${name}:${sampler}`,
      kind: "loop",
      run: (lab) => runPipeline(paths, sampler, lab),
    }));
  } catch (error) {
    return failed(error);
  }
}

/** What `index.json` says of the run, or what is usual where there is none. */
interface Run {
  readonly scheduler: SchedulerConfig;
  readonly steps: number;
  readonly guidance: number;
  readonly prompts?: readonly string[];
  readonly negativePrompt: string;
}

async function runPipeline(paths: PipelinePaths, sampler: string, lab: Lab): Promise<Check[]> {
  const folder = await folderFromPath(paths.folder);
  const io = await GoldenFile.open(`${paths.folder}.io.safetensors`);
  const run = await readRun(paths, folder, sampler);
  const ids = await io.values("in.input_ids");
  const unconditional = await io.values("in.uncond_input_ids");
  const checks = await compareIds(paths, run, ids, unconditional);
  const start = channelsLast(await io.values("in.x_T"));
  const { latent, image } = await sample(folder, run, { ids, unconditional, start }, lab);
  checks.push(
    ...compareFloats(
      `out.${sampler}.latent`,
      latent,
      await io.values(`out.${sampler}.latent`),
      limits.loop,
      lab.precision,
    ),
    ...compareFloats(
      `out.${sampler}.image`,
      image,
      await io.values(`out.${sampler}.image`),
      limits.loop,
      lab.precision,
    ),
  );
  return checks;
}

async function readRun({ root, name }: PipelinePaths, folder: Folder, sampler: string): Promise<Run> {
  const indexPath = join(root, "index.json");
  const index = existsSync(indexPath) ? await readPythonJson(indexPath) : {};
  const entry = record(record(index)[name.replace(/-diffusers$/, "")]);
  const pipeline = new Fields(record(entry["diffusers_pipeline"]), `diffusers_pipeline of ${name}`);
  const stated = record(record(record(entry["cases"])["c0"])["pipeline"]);
  const prompts = stated["prompts"];
  const negative = stated["negative_prompt"];
  const className = classes[sampler];
  if (!className) throw new UnsupportedError(`the sampler ${sampler} is not supported yet`);
  const stored = (await readJson<object>(folder, "scheduler/scheduler_config.json")) ?? {};
  const scheduler = pipeline.raw(sampler) ?? { ...stored, clip_sample: false };
  return {
    scheduler: parseSchedulerConfig({ ...(scheduler as object), _class_name: className }, `scheduler of ${name}`),
    steps: pipeline.count("steps", 4),
    guidance: pipeline.number("guidance_scale", 7.5),
    ...(Array.isArray(prompts) ? { prompts: prompts.map(String) } : {}),
    negativePrompt: typeof negative === "string" ? negative : "",
  };
}

/** The classes of diffusers that the results are named after. */
const classes: Readonly<Record<string, string>> = {
  ddim: "DDIMScheduler",
  ddpm: "DDPMScheduler",
  pndm: "PNDMScheduler",
  dpm: "DPMSolverMultistepScheduler",
};

/** The prompts through our tokenizer, where both are there. */
async function compareIds({ root }: PipelinePaths, run: Run, ids: Values, unconditional: Values): Promise<Check[]> {
  const tokenizer = await clipTokenizerIn(join(root, "tokenizer"));
  if (!tokenizer || !run.prompts) return [];
  const length = ids.shape.at(-1)!;
  const encode = (texts: readonly string[]): Values => ({
    shape: [texts.length, length],
    data: texts.flatMap((text) => tokenizer.encodePadded(text, length).ids),
  });
  const negatives = run.prompts.map(() => run.negativePrompt);
  return [
    compareExactly("in.input_ids", encode(run.prompts), ids),
    compareExactly("in.uncond_input_ids", encode(negatives), unconditional),
  ];
}

interface Inputs {
  readonly ids: Values;
  readonly unconditional: Values;
  /** [N, H, W, C] */
  readonly start: Values;
}

/** Runs text encoder, denoising loop and decoder as the product does; results are channels first. */
async function sample(
  folder: Folder,
  run: Run,
  { ids, unconditional, start }: Inputs,
  lab: Lab,
): Promise<{ latent: Values; image: Values }> {
  const required = async (path: string): Promise<unknown> => {
    const json = await readJson(folder, path);
    invariant(json !== undefined, `${folder.name} has no ${path}`);
    return json;
  };
  const text = await openComponent(folder, "text_encoder");
  const prefix = [...text.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
  const config: ModelConfig = {
    unet: parseUNetConfig(await required("unet/config.json")),
    firstStage: parseAutoencoderConfig(await required("vae/config.json")),
    scheduler: run.scheduler,
    conditioner: { kind: "clip", config: parseClipConfig(await required("text_encoder/config.json")), prefix },
    concat: { kind: "none" },
  };
  const checkpoint: Checkpoint = {
    name: folder.name,
    config,
    tokenizer: undefined,
    defaults: { width: 64, height: 64, steps: run.steps, guidance: run.guidance, eta: 0 },
    sizeMultiple: latentFactor(config),
    stored: {
      text_encoder: text,
      unet: await openComponent(folder, "unet"),
      vae: await openComponent(folder, "vae"),
    },
    preview: undefined,
    notes: [],
  };
  const [images, height, width] = start.shape as [number, number, number];
  const guided = run.guidance !== 1;
  const path = samplerPath(config.scheduler, { steps: run.steps });
  const programs = new Programs(lab.device, lab.graphOptions(), checkpoint, new Map());
  try {
    const contexts = await programs.contextEncoder(images * (guided ? 2 : 1));
    const denoiser = await programs.denoiser({
      images,
      height,
      width,
      guided,
      guidanceRescale: false,
      contextLength: ids.shape.at(-1)!,
      noise: "torch",
      stepNoise: path.draws,
      thresholding: false,
      registers: path.registers,
    });
    contexts.encode(guided ? [...rows(unconditional), ...rows(ids)] : rows(ids));
    denoiser.setContext(contexts.buffer);
    denoiser.prepare();
    denoiser.writeLatent(Float32Array.from(start.data));
    for (const step of path.steps) denoiser.step(step, run.guidance);
    const decoder = await programs.decoder({ images, height, width });
    invariant(decoder instanceof LatentDecoder, "the model decodes latents");
    await decoder.decode(denoiser.latent);
    const factor = latentFactor(config);
    const image = {
      shape: [images, height * factor, width * factor, 3],
      data: await decoder.readImage(),
    };
    return {
      latent: channelsFirst({ shape: start.shape, data: await denoiser.readLatent() }),
      image: channelsFirst(image),
    };
  } finally {
    programs.dispose();
  }
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

function rows({ shape, data }: Values): number[][] {
  const length = shape.at(-1)!;
  return Array.from({ length: shape[0]! }, (_, i) => Array.from({ length }, (__, j) => data[i * length + j]!));
}
