import { existsSync } from "node:fs";
import { join } from "node:path";
import { invariant, UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import type { Graph } from "../../graph/graph.js";
import { downsampling, parseAutoencoderConfig } from "../../models/autoencoder.js";
import { parseClipConfig } from "../../models/clip.js";
import { parseUNetConfig } from "../../models/unetConfig.js";
import { decodeGraph, denoiseGraph, type ModelConfig, type Shape, textGraph } from "../../pipeline/graphs.js";
import { TextToImagePlans } from "../../pipeline/textToImage.js";
import { uploadWeights, type WeightBuffers } from "../../pipeline/upload.js";
import { SlotPool } from "../../plan/pool.js";
import { ddimSteps } from "../../sampling/ddim.js";
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
  if (sampler !== "ddim") throw new UnsupportedError(`the sampler ${sampler} is not supported yet`);
  const folder = await folderFromPath(paths.folder);
  const io = await GoldenFile.open(`${paths.folder}.io.safetensors`);
  const run = await readRun(paths, folder);
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

async function readRun({ root, name }: PipelinePaths, folder: Folder): Promise<Run> {
  const indexPath = join(root, "index.json");
  const index = existsSync(indexPath) ? await readPythonJson(indexPath) : {};
  const entry = record(record(index)[name.replace(/-diffusers$/, "")]);
  const pipeline = new Fields(record(entry["diffusers_pipeline"]), `diffusers_pipeline of ${name}`);
  const stated = record(record(record(entry["cases"])["c0"])["pipeline"]);
  const prompts = stated["prompts"];
  const negative = stated["negative_prompt"];
  const ddim = pipeline.raw("ddim") ?? {
    ...((await readJson<object>(folder, "scheduler/scheduler_config.json")) ?? {}),
    clip_sample: false,
  };
  return {
    scheduler: parseSchedulerConfig({ ...(ddim as object), _class_name: "DDIMScheduler" }, `scheduler of ${name}`),
    steps: pipeline.count("steps", 4),
    guidance: pipeline.number("guidance_scale", 7.5),
    ...(Array.isArray(prompts) ? { prompts: prompts.map(String) } : {}),
    negativePrompt: typeof negative === "string" ? negative : "",
  };
}

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
  const { device } = lab;
  const required = async (path: string): Promise<unknown> => {
    const json = await readJson(folder, path);
    invariant(json !== undefined, `${folder.name} has no ${path}`);
    return json;
  };
  const stored = {
    text: await openComponent(folder, "text_encoder"),
    unet: await openComponent(folder, "unet"),
    vae: await openComponent(folder, "vae"),
  };
  const config: ModelConfig = {
    text: parseClipConfig(await required("text_encoder/config.json")),
    unet: parseUNetConfig(await required("unet/config.json")),
    vae: parseAutoencoderConfig(await required("vae/config.json")),
    scheduler: run.scheduler,
    textPrefix: [...stored.text.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "",
  };
  const [images, height, width] = start.shape as [number, number, number];
  const factor = downsampling(config.vae);
  const guided = run.guidance !== 1;
  const shape: Shape = { width: width * factor, height: height * factor, images, guided, stepNoise: "none" };
  const settings = lab.graphOptions();
  const pool = new SlotPool(device);
  const held: { dispose(): void }[] = [pool];
  const upload = async (component: string, graph: Graph, from: (typeof stored)["text"]): Promise<WeightBuffers> => {
    // The encoder's half of the first stage is not part of this pipeline; its own case covers it.
    const ignore = (name: string) => component === "vae" && /^(encoder|quant_conv)\./.test(name);
    const buffers = await uploadWeights(device, graph.requests(), from, { component, ignore });
    held.push(buffers);
    return buffers;
  };
  try {
    const weights = {
      text: await upload("text_encoder", textGraph(config, 1, settings).graph, stored.text),
      unet: await upload("unet", denoiseGraph(config, shape, settings).graph, stored.unet),
      vae: await upload("vae", decodeGraph(config, shape, settings).graph, stored.vae),
    };
    const plans = await TextToImagePlans.compile(device, config, weights, pool, shape, settings);
    held.push(plans);
    plans.encodePrompts(guided ? [...rows(unconditional), ...rows(ids)] : rows(ids));
    plans.writeLatent(Float32Array.from(start.data));
    for (const step of ddimSteps(config.scheduler, run.steps)) plans.step(step, run.guidance);
    await plans.decode("latent");
    const image = {
      shape: [images, shape.height, shape.width, config.vae.outChannels],
      data: await plans.read("image"),
    };
    return {
      latent: channelsFirst({ shape: start.shape, data: await plans.read("latent") }),
      image: channelsFirst(image),
    };
  } finally {
    for (const one of held.reverse()) one.dispose();
  }
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

function rows({ shape, data }: Values): number[][] {
  const length = shape.at(-1)!;
  return Array.from({ length: shape[0]! }, (_, i) => Array.from({ length }, (__, j) => data[i * length + j]!));
}
