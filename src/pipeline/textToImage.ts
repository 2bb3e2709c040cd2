import { dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import type { GraphOptions, Tensor } from "../graph/graph.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { type DdimStep, stepScalars } from "../sampling/ddim.js";
import {
  decodeGraph,
  denoiseGraph,
  type ModelConfig,
  noiseGraph,
  promptCount,
  type Shape,
  textGraph,
} from "./graphs.js";
import type { WeightBuffers } from "./upload.js";

export interface ModelWeights {
  readonly text: WeightBuffers;
  readonly unet: WeightBuffers;
  readonly vae: WeightBuffers;
}

/** Where a step's noise comes from. */
export type StepNoise =
  | { readonly seed: number; readonly index: number }
  | { readonly values: Float32Array<ArrayBuffer> };

/** The compiled programs of one shape of request. They share the pool, and hand tensors on by sharing buffers. */
export class TextToImagePlans {
  private constructor(
    readonly device: Device,
    readonly shape: Shape,
    private readonly text: ReturnType<typeof textGraph> & { plan: Plan },
    private readonly noise: ReturnType<typeof noiseGraph> & { plan: Plan },
    private readonly denoise: ReturnType<typeof denoiseGraph> & { plan: Plan },
    private readonly decoder: ReturnType<typeof decodeGraph> & { plan: Plan },
  ) {}

  static async compile(
    device: Device,
    config: ModelConfig,
    weights: ModelWeights,
    pool: SlotPool,
    shape: Shape,
    settings: GraphOptions,
  ): Promise<TextToImagePlans> {
    const text = textGraph(config, promptCount(shape), settings);
    const noise = noiseGraph(config, shape, settings);
    const denoise = denoiseGraph(config, shape, settings);
    const decoder = decodeGraph(config, shape, settings);
    const plans: Plan[] = [];
    const compile = async (graph: typeof text.graph, buffers?: WeightBuffers, bind?: Map<Tensor, GPUBuffer>) => {
      const options = { pool, ...(buffers ? { weights: buffers.buffers } : {}), ...(bind ? { bind } : {}) };
      const plan = await Plan.compile(device, graph, options);
      plans.push(plan);
      return plan;
    };
    try {
      const textPlan = await compile(text.graph, weights.text);
      const shared = new Map([[denoise.context, textPlan.buffer(text.context)]]);
      const denoisePlan = await compile(denoise.graph, weights.unet, shared);
      const noisePlan = await compile(
        noise.graph,
        undefined,
        new Map([[noise.latent, denoisePlan.buffer(denoise.latent)]]),
      );
      const decodePlan = await compile(decoder.graph, weights.vae);
      return new TextToImagePlans(
        device,
        shape,
        { ...text, plan: textPlan },
        { ...noise, plan: noisePlan },
        { ...denoise, plan: denoisePlan },
        { ...decoder, plan: decodePlan },
      );
    } catch (error) {
      for (const plan of plans) plan.dispose();
      pool.reset();
      throw error;
    }
  }

  /** Encodes the prompts, [unconditional, conditional] with guidance, and computes what of the UNet depends on them alone. */
  encodePrompts(ids: readonly (readonly number[])[]): void {
    const { plan } = this.text;
    invariant(ids.length === promptCount(this.shape), `expected ${promptCount(this.shape)} prompts, got ${ids.length}`);
    plan.write(this.text.ids, new Uint32Array(ids.flat()));
    plan.run("prompt");
    this.denoise.plan.run("prompt");
  }

  /** Fills the latent with the noise of a seed. */
  seedLatent(seed: number): void {
    this.noise.plan.write(this.noise.seed, seedWords(seed, 0));
    this.noise.plan.run("step");
  }

  /** Sets the latent from outside: [N, H, W, C]. */
  writeLatent(latent: Float32Array<ArrayBuffer>): void {
    this.denoise.plan.write(this.denoise.latent, latent);
  }

  /**
   * One denoising step; returns as soon as it is submitted. `source` gives the noise of steps that add some: a seed and
   * the step's place in its stream, or values [N, H, W, C].
   */
  step(step: DdimStep, guidance: number, source?: StepNoise): void {
    const { plan, timesteps, scalars, seed: stepSeed, handed } = this.denoise;
    plan.write(timesteps, new Float32Array(promptCount(this.shape)).fill(step.timestep));
    plan.write(scalars, stepScalars(step, guidance));
    if (stepSeed) {
      invariant(source && "seed" in source, "a step with noise from the device needs a seed");
      plan.write(stepSeed, seedWords(source.seed, source.index + 1));
    }
    if (handed) {
      invariant(source && "values" in source, "a step with noise from the host needs its values");
      plan.write(handed, source.values);
    }
    plan.run("step");
  }

  /** Decodes the latent, or the clean latent that the last step predicted, to RGBA: N pictures of width * height * 4 bytes. */
  async decode(which: "latent" | "predicted"): Promise<Uint8Array> {
    const { gpu } = this.device;
    const source = this.denoise.plan.buffer(which === "latent" ? this.denoise.latent : this.denoise.x0);
    const bytes = sizeOf(this.decoder.latent.shape) * dtypeBytes.f32;
    const encoder = gpu.createCommandEncoder({ label: "decode" });
    encoder.copyBufferToBuffer(source, 0, this.decoder.plan.buffer(this.decoder.latent), 0, bytes);
    this.decoder.plan.encode("step", encoder);
    gpu.queue.submit([encoder.finish()]);
    return this.decoder.plan.readBytes(this.decoder.rgba);
  }

  /** Values for comparison with a reference: the context, the latent (both channels last), the decoded picture in [-1, 1]. */
  read(which: "context" | "latent" | "image"): Promise<Float32Array | Uint32Array> {
    if (which === "context") return this.text.plan.read(this.text.context);
    if (which === "latent") return this.denoise.plan.read(this.denoise.latent);
    return this.decoder.plan.read(this.decoder.image);
  }

  /** The plan of each stage, for profiling. */
  get plans(): { readonly text: Plan; readonly denoise: Plan; readonly decode: Plan } {
    return { text: this.text.plan, denoise: this.denoise.plan, decode: this.decoder.plan };
  }

  dispose(): void {
    for (const { plan } of [this.text, this.noise, this.denoise, this.decoder]) plan.dispose();
  }
}

const seedWords = (seed: number, stream: number): Uint32Array<ArrayBuffer> =>
  new Uint32Array([seed % 2 ** 32, Math.floor(seed / 2 ** 32), stream, 0]);
