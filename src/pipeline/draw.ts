import { invariant } from "../core/invariant.js";
import { type SamplerPath, schedulerFor } from "../sampling/sampler.js";
import type { Context } from "./conditioning.js";
import type { Denoiser, DenoiseShape } from "./denoiser.js";
import { latentChannels, latentFactor } from "./modelConfig.js";
import type { Latent, Noise, NoiseStream } from "./noiseStream.js";
import type { Picture } from "./picture.js";
import type { Programs } from "./programs.js";
import type { SamplingOptions, Settings } from "./request.js";

/** One request while it runs. */
export interface Run {
  /** Names the task in the result: "text to image". */
  readonly task: string;
  readonly settings: Settings;
  readonly options: Pick<SamplingOptions, "onStep" | "signal">;
  readonly started: number;
  /** @throws where the model was disposed of, or the signal says stop */
  check(): void;
}

/** What a task has prepared for the denoising loop. */
export interface Job {
  readonly run: Run;
  /** Of the latent. */
  readonly height: number;
  readonly width: number;
  readonly path: SamplerPath;
  readonly context: Context;
  readonly noise: Pick<NoiseStream, "draw">;
  readonly prompt?: string;
  readonly negativePrompt?: string;
  /** What is joined to the latent's channels, part by part. */
  readonly condition?: readonly (GPUBuffer | Float32Array<ArrayBuffer>)[];
  /** Class labels of the batch where the context has none: the noise level of an upscaler. */
  readonly labels?: readonly number[];
  /** The noise of the first latent. */
  readonly start: Noise;
  /** A clean latent [N, H, W, C] to start from, as far as the path's start says. */
  readonly clean?: GPUBuffer | Float32Array<ArrayBuffer>;
  /** What of the latent is painted anew, 1, and what stays as the clean latent has it, 0: [N, H, W]. */
  readonly mask?: Float32Array<ArrayBuffer>;
  /** A change to each finished picture's pixels. */
  readonly finish?: (pixels: Uint8ClampedArray) => void;
}

/** How a sampler thresholds: of the classes that the samplers are named after, not all do. */
export const confines = ({ scheduler, sampler }: Settings): DenoiseShape["thresholding"] =>
  schedulerFor(scheduler, sampler).thresholding ?? false;

/** The denoising loop and what surrounds it: the same for every task. */
export async function draw(programs: Programs, job: Job): Promise<Picture[]> {
  const { run, path, context, noise, mask } = job;
  const { settings, options } = run;
  const images = settings.seeds.length;
  const { guidance, guidanceRescale } = settings;
  const shape: DenoiseShape = {
    images,
    height: job.height,
    width: job.width,
    guided: context.guided,
    guidanceRescale: guidanceRescale > 0 && context.guided,
    contextLength: context.length,
    noise: settings.noise,
    stepNoise: path.draws,
    thresholding: confines(settings),
    registers: path.registers,
  };
  const latent: Latent = [images, job.height, job.width, latentChannels(programs.config)];
  const denoiser = await programs.denoiser(shape);
  run.check();
  if (context.ids) {
    const encoder = await programs.contextEncoder(context.ids.length);
    encoder.encode(context.ids);
    denoiser.setContext(encoder.buffer);
  } else if (context.values) {
    denoiser.setContext(context.values);
  }
  const labels = job.labels ?? context.labels;
  if (labels) denoiser.setLabels(labels);
  for (const [i, part] of (job.condition ?? []).entries()) denoiser.setCondition(i, part);
  denoiser.prepare();

  const { start } = job;
  denoiser.fillNoise(start);
  if (job.clean) {
    denoiser.setClean(job.clean);
    denoiser.setMask(undefined);
    if (path.start.signal > 0) denoiser.blend(path.start, start);
    if (mask) denoiser.setMask(mask);
  }
  // Masked sampling: the original code brings the kept part to each step's level with fresh noise, before the step or,
  // in ancestral sampling, after it; diffusers after the step to the next one's, with the noise of the start.
  const original = mask && settings.scheduler.convention === "compvis";
  const ancestral = original && settings.sampler === "ddpm";
  const before = original && !ancestral;
  const after = mask && !original;

  const finish = (rgba: Uint8Array) => pictures(programs, job, rgba);
  const behind = new OneAhead(programs);
  let current = 0; // the step whose preview may be asked for
  for (const [i, step] of path.steps.entries()) {
    run.check();
    if (before && !step.trial) denoiser.blend(step, noise.draw(latent));
    // The original code's samplers draw noise even where its weight is 0: then what is drawn for the blend comes later.
    const drawn = step.draws || original ? noise.draw(latent) : undefined;
    denoiser.step(step, guidance, guidanceRescale, step.draws ? drawn : undefined);
    if (ancestral) denoiser.blend(step, noise.draw(latent));
    if (after) denoiser.blend(path.steps[i + 1] ?? { signal: 1, noise: 0 }, i === 0 ? start : undefined);
    await behind.next();
    current = i + 1;
    const check = (what: string) =>
      invariant(current === i + 1, `${what}: step ${i + 1} is over; ask from within onStep`);
    await options.onStep?.({
      step: i + 1,
      steps: path.steps.length,
      timestep: step.timestep,
      latent: async () => {
        check("latent");
        return (await import("./tasks/predictedLatent.js")).predictedLatent(denoiser);
      },
      preview: async () => {
        check("preview");
        const previewer = await programs.previewer(
          { images, height: job.height, width: job.width },
          settings.memoryBudget,
        );
        return finish(await previewer.decode(denoiser.predicted))[0]!;
      },
    });
    current = 0;
  }
  await behind.last();
  run.check();
  return finish(await decodeLatent(programs, denoiser, job));
}

async function decodeLatent(programs: Programs, denoiser: Denoiser, job: Job): Promise<Uint8Array> {
  const { seeds, memoryBudget } = job.run.settings;
  const size = { images: seeds.length, height: job.height, width: job.width };
  const decoder = await programs.decoder(size, memoryBudget);
  return decoder.decode(denoiser.latent);
}

function pictures(programs: Programs, job: Job, rgba: Uint8Array): Picture[] {
  const { run, context, prompt = "", negativePrompt = "", finish } = job;
  const { task, settings, started } = run;
  const { steps, guidance, sampler, eta, noise, seeds } = settings;
  const factor = latentFactor(programs.config);
  const [height, width] = [job.height * factor, job.width * factor];
  const size = width * height * 4;
  return seeds.map((seed, i) => {
    const pixels = new Uint8ClampedArray(rgba.slice(i * size, (i + 1) * size));
    finish?.(pixels);
    return {
      width,
      height,
      pixels,
      task,
      prompt,
      negativePrompt,
      seed,
      steps,
      guidance,
      sampler,
      eta,
      noise,
      tuning: programs.settings.forms?.table?.id ?? "",
      warnings: [...programs.notes, ...context.warnings],
      milliseconds: performance.now() - started,
    };
  });
}

/** Keeps the CPU at most one step ahead of the device. */
class OneAhead {
  private behind: Promise<void>;

  constructor(private readonly programs: Programs) {
    this.behind = programs.device.idle();
  }

  async next(): Promise<void> {
    const submitted = this.programs.device.idle();
    submitted.catch(() => undefined); // heard of when its turn comes
    await this.behind;
    this.behind = submitted;
  }

  async last(): Promise<void> {
    await this.behind;
  }
}
