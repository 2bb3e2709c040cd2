import { dtypeBytes } from "../core/dtype.js";
import { toHalf } from "../core/half.js";
import { invariant } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { Graph, type GraphOptions, type Tensor } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { unet } from "../models/unet.js";
import { affine } from "../ops/affine.js";
import { blendMasked } from "../ops/blendMasked.js";
import { concat } from "../ops/concat.js";
import { randn } from "../ops/randn.js";
import { samplerStep, scalarCount } from "../ops/samplerStep.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { type SamplerStep, stepScalars } from "../sampling/sampler.js";
import type { SchedulerConfig } from "../sampling/schedule.js";
import { concatChannels, latentChannels, type ModelConfig } from "./modelConfig.js";
import type { Latent, Noise } from "./noiseStream.js";
import type { NoiseSource } from "./picture.js";
import type { WeightBuffers } from "./upload.js";

type Thresholding = NonNullable<SchedulerConfig["thresholding"]>;

/** Everything that changes which denoising program runs. */
export interface DenoiseShape {
  /** Pictures at once. */
  readonly images: number;
  /** Of the latent. */
  readonly height: number;
  readonly width: number;
  /** With classifier-free guidance: the model runs on [unconditional, conditional]. */
  readonly guided: boolean;
  readonly guidanceRescale: boolean;
  /** Rows of the context; 0 without one. */
  readonly contextLength: number;
  /** Where noise comes from. */
  readonly noise: NoiseSource;
  /** Whether steps add noise. */
  readonly stepNoise: boolean;
  /** How the sampler confines what it predicts, where the configuration asks for dynamic thresholding. */
  readonly thresholding: Thresholding | false;
  /** Earlier values that the sampler keeps. */
  readonly registers: number;
}

/** Rows of a batch in the UNet, both halves of guidance included. */
export const batchOf = ({ images, guided }: DenoiseShape): number => images * (guided ? 2 : 1);

/** [N, H, W, C] of the latent. */
export const latentShape = (config: ModelConfig, { images, height, width }: DenoiseShape): Latent => [
  images,
  height,
  width,
  latentChannels(config),
];

/**
 * One denoising step: UNet, guidance and the sampler's update of the latent. What depends on the request alone, such as
 * the keys and values of cross-attention, lands in the prompt phase.
 */
export function denoiseGraph(config: ModelConfig, shape: DenoiseShape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const count = batchOf(shape);
  const { images, height, width, guided, contextLength } = shape;
  const { contextWidth, labels: labelKind } = config.unet;
  const latent = graph.state("latent", latentShape(config, shape));
  const context =
    contextWidth === undefined
      ? undefined
      : graph.input("context", [count, contextLength, contextWidth], settings.dtype, "prompt");
  const labels = labelKind ? graph.input("labels", [count], "u32", "prompt") : undefined;
  const parts = concatChannels(config).map((channels, i) =>
    graph.input(`condition ${i}`, [images, height, width, channels], "f32", "prompt"),
  );
  const timesteps = graph.input("timesteps", [count], "f32", "step");
  const scalars = graph.input("scalars", [scalarCount], "f32", "step");
  const fresh = shape.stepNoise ? noiseInput(graph, latent, shape.noise) : undefined;
  const registers = shape.registers > 0 ? graph.state("registers", [shape.registers, ...latent.shape]) : undefined;

  const doubled = (t: Tensor) => (guided ? affine(t, { repeat: 2 }) : t);
  const condition = parts.length > 0 ? doubled(parts.reduce((a, b) => concat(a, b))) : undefined;
  const x = condition ? concat(doubled(latent), condition) : doubled(latent);
  const conditions = { ...(context ? { context } : {}), ...(labels ? { labels } : {}) };
  const output = unet(new Scope(graph), x, timesteps, conditions, config.unet);
  const { prediction } = config.scheduler;
  const { thresholding } = shape;
  const x0 = graph.output(
    samplerStep(latent, output, scalars, {
      prediction,
      guidanceRescale: shape.guidanceRescale,
      ...(registers ? { registers } : {}),
      ...(fresh ? { noise: fresh.noise } : {}),
      ...(thresholding ? { thresholding } : {}),
    }),
  );
  return { graph, latent, context, labels, parts, timesteps, scalars, fresh, x0 };
}

/**
 * Brings the latent to another mixture of a clean latent and noise: everywhere, to start from a picture, or outside the
 * mask, to keep a picture there.
 */
export function blendGraph(config: ModelConfig, shape: DenoiseShape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const latent = graph.state("latent", latentShape(config, shape));
  const { images, height, width } = shape;
  const clean = graph.input("clean latent", latent.shape, "f32", "step");
  const mask = graph.input("mask", [images, height, width, 1], "f32", "step");
  const scalars = graph.input("blend scalars", [4], "f32", "step");
  const fresh = noiseInput(graph, latent, shape.noise);
  blendMasked(latent, clean, mask, fresh.noise, scalars);
  return { graph, latent, clean, mask, scalars, fresh };
}

/** Noise of a latent's shape, handed over by the host or made from the seeds of its pictures. */
function noiseInput(graph: Graph, latent: Tensor, source: NoiseSource): { given: Tensor; noise: Tensor } {
  if (source === "torch") {
    const given = graph.input("noise", latent.shape, "f32", "step");
    return { given, noise: given };
  }
  const given = graph.input("noise seeds", [latent.shape[0]!, 4], "u32", "step");
  return { given, noise: randn(given, graph.empty(latent.shape, "f32")) };
}

/** Noise into the latent. */
export function fillGraph(config: ModelConfig, shape: DenoiseShape, settings: GraphOptions) {
  const graph = new Graph(settings);
  const latent = graph.state("latent", latentShape(config, shape));
  const seeds = graph.input("noise seeds", [shape.images, 4], "u32", "step");
  randn(seeds, latent);
  return { graph, latent, seeds };
}

type Compiled<T> = T & { readonly plan: Plan };

/** Shares of the clean latent and of noise in a noisy one. */
export interface Level {
  readonly signal: number;
  readonly noise: number;
}

/** The compiled denoising programs of one shape of request. Between calls the latent stays on the device. */
export class Denoiser {
  private constructor(
    private readonly device: Device,
    readonly shape: DenoiseShape,
    readonly latentShape: Latent,
    private readonly program: Compiled<ReturnType<typeof denoiseGraph>>,
    private readonly fill: Compiled<ReturnType<typeof fillGraph>>,
    private readonly mixing: Compiled<ReturnType<typeof blendGraph>>,
  ) {}

  static async compile(
    device: Device,
    config: ModelConfig,
    weights: WeightBuffers,
    pool: SlotPool,
    settings: GraphOptions,
    shape: DenoiseShape,
  ): Promise<Denoiser> {
    const denoise = denoiseGraph(config, shape, settings);
    const fill = fillGraph(config, shape, settings);
    const blend = blendGraph(config, shape, settings);
    const plans: Plan[] = [];
    const compile = async <T extends { graph: Graph }>(graphs: T, bind?: Map<Tensor, GPUBuffer>) => {
      const options = { pool, weights: weights.buffers, ...(bind ? { bind } : {}) };
      const plan = await Plan.compile(device, graphs.graph, options);
      plans.push(plan);
      return { ...graphs, plan };
    };
    try {
      const program = await compile(denoise);
      const latent = program.plan.buffer(denoise.latent);
      return new Denoiser(
        device,
        shape,
        latentShape(config, shape),
        program,
        await compile(fill, new Map([[fill.latent, latent]])),
        await compile(blend, new Map([[blend.latent, latent]])),
      );
    } catch (error) {
      for (const plan of plans) plan.dispose();
      throw error;
    }
  }

  /** Sets the context [N, T, D], [unconditional, conditional] with guidance: from a buffer of the graph's type, or values. */
  setContext(context: GPUBuffer | Float32Array): void {
    const tensor = this.program.context;
    invariant(tensor, "the model attends to no context");
    if (context instanceof Float32Array) {
      const { plan } = this.program;
      if (tensor.dtype === "f16") plan.write(tensor, Uint16Array.from(context, toHalf));
      else plan.write(tensor, Float32Array.from(context));
    } else {
      this.copy(context, this.program.plan.buffer(tensor), tensor);
    }
  }

  /** Sets the class label of each row of the batch. */
  setLabels(labels: readonly number[]): void {
    invariant(this.program.labels, "the model has no class labels");
    this.program.plan.write(this.program.labels, Uint32Array.from(labels));
  }

  /** Sets what is joined to the latent's channels, part by part: [N, H, W, C] each. */
  setCondition(part: number, condition: GPUBuffer | Float32Array<ArrayBuffer>): void {
    const tensor = this.program.parts[part];
    invariant(tensor, `the model joins ${this.program.parts.length} parts to the latent, not ${part + 1}`);
    if (condition instanceof Float32Array) this.program.plan.write(tensor, condition);
    else this.copy(condition, this.program.plan.buffer(tensor), tensor);
  }

  /** Computes what depends on the conditions alone, once they are set. */
  prepare(): void {
    this.program.plan.run("prompt");
  }

  /** Sets the latent to noise. */
  fillNoise(noise: Noise): void {
    if ("values" in noise) {
      this.writeLatent(noise.values);
    } else {
      this.fill.plan.write(this.fill.seeds, noise.words);
      this.fill.plan.run("step");
    }
  }

  /** Sets the latent: [N, H, W, C]. */
  writeLatent(latent: Float32Array<ArrayBuffer>): void {
    this.program.plan.write(this.program.latent, latent);
  }

  /** Sets the clean latent [N, H, W, C] that the latent starts from, or keeps outside the mask. */
  setClean(clean: GPUBuffer | Float32Array<ArrayBuffer>): void {
    const { plan, clean: tensor } = this.mixing;
    if (clean instanceof Float32Array) plan.write(tensor, clean);
    else this.copy(clean, plan.buffer(tensor), tensor);
  }

  /** Sets what is to be painted anew, 1, and kept, 0: [N, H, W]. Without a mask nothing is kept of the latent when it blends. */
  setMask(mask: Float32Array<ArrayBuffer> | undefined): void {
    const { plan, mask: tensor } = this.mixing;
    plan.write(tensor, mask ?? new Float32Array(sizeOf(tensor.shape)));
  }

  /** Outside the mask, sets the latent to the clean one at a noise level. Without noise the last blend's is used again. */
  blend({ signal, noise: share }: Level, noise?: Noise): void {
    const { plan, fresh, scalars } = this.mixing;
    plan.write(scalars, Float32Array.of(signal, share, 0, 0));
    if (noise) plan.write(fresh.given, "values" in noise ? noise.values : noise.words);
    plan.run("step");
  }

  /** One denoising step; returns as soon as it is submitted. */
  step(step: SamplerStep, guidance: number, guidanceRescale = 0, noise?: Noise): void {
    const { plan, timesteps, scalars, fresh } = this.program;
    plan.write(timesteps, new Float32Array(batchOf(this.shape)).fill(step.timestep));
    plan.write(scalars, stepScalars(step, guidance, guidanceRescale));
    if (fresh && step.draws) {
      invariant(noise, "the step adds noise, and got none");
      plan.write(fresh.given, "values" in noise ? noise.values : noise.words);
    }
    plan.run("step");
  }

  /** The latent [N, H, W, C] in f32. */
  get latent(): GPUBuffer {
    return this.program.plan.buffer(this.program.latent);
  }

  /** The clean latent that the last step predicted. */
  get predicted(): GPUBuffer {
    return this.program.plan.buffer(this.program.x0);
  }

  /** The values of {@link predicted}, [N, H, W, C]. */
  readPredicted(): Promise<Float32Array> {
    return this.program.plan.read(this.program.x0) as Promise<Float32Array>;
  }

  readLatent(): Promise<Float32Array> {
    return this.program.plan.read(this.program.latent) as Promise<Float32Array>;
  }

  /** The plan of a step, for profiling. */
  get plan(): Plan {
    return this.program.plan;
  }

  dispose(): void {
    for (const { plan } of [this.program, this.fill, this.mixing]) plan.dispose();
  }

  private copy(from: GPUBuffer, to: GPUBuffer, { shape, dtype }: Tensor): void {
    const encoder = this.device.gpu.createCommandEncoder({ label: "hand over" });
    const bytes = sizeOf(shape) * dtypeBytes[dtype];
    encoder.copyBufferToBuffer(from, 0, to, 0, Math.ceil(bytes / 4) * 4);
    this.device.gpu.queue.submit([encoder.finish()]);
  }
}
