// A whole model with random weights on the device, and the programs of its usual request.
import type { Engine } from "../../src/pipeline/engine.js";
import type { LatentDecoder } from "../../src/pipeline/firstStage.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import { latentFactor, type ModelConfig } from "../../src/pipeline/modelConfig.js";
import { samplerPath } from "../../src/sampling/sampler.js";
import { valuesOf } from "./random.js";
import { randomCheckpoint } from "./randomModel.js";

/** Random numbers for the host to hand over. */
export const numbers = (length: number, seed: number): Float32Array<ArrayBuffer> =>
  valuesOf(length, { seed, scale: 2 });

/** A loaded model, with what loading took. */
export interface Subject {
  readonly engine: Engine;
  readonly model: LatentDiffusion;
  readonly config: ModelConfig;
  /** Milliseconds. */
  readonly loading: number;
}

export async function loadSubject(engine: Engine, config: ModelConfig): Promise<Subject> {
  const checkpoint = await randomCheckpoint(config);
  const started = performance.now();
  const model = await engine.load(checkpoint);
  return { engine, model, config, loading: performance.now() - started };
}

export interface StepShape {
  readonly images?: number;
  readonly guided: boolean;
  /** Pixels. */
  readonly side: number;
}

/** The denoiser of a request, with its context and its latent set. */
export async function denoiserOf({ engine, model, config }: Subject, { images = 1, guided, side }: StepShape) {
  const path = samplerPath(config.scheduler, { steps: 20 });
  const factor = latentFactor(config);
  const denoiser = await model.programs.denoiser({
    images,
    height: side / factor,
    width: side / factor,
    guided,
    guidanceRescale: false,
    contextLength: model.tokenize("any").ids.length,
    noise: "torch",
    stepNoise: path.draws,
    thresholding: false,
    registers: path.registers,
  });
  const batch = images * (guided ? 2 : 1);
  const contexts = await model.programs.contextEncoder(batch);
  contexts.encode(Array.from({ length: batch }, (_, i) => model.tokenize(i % 2 ? "a red apple" : "").ids));
  denoiser.setContext(contexts.buffer);
  denoiser.prepare();
  denoiser.writeLatent(
    numbers(
      denoiser.latentShape.reduce((a, b) => a * b),
      3,
    ),
  );
  await engine.device.idle();
  /** One step from the noise; the latent goes on changing from call to call. */
  const step = (at = 0) => denoiser.step(path.steps[at]!, guided ? 7.5 : 1);
  return { denoiser, path, step };
}

/** The decoder of a size, and a latent for it. */
export async function decoderOf({ engine, model, config }: Subject, side: number) {
  const size = side / latentFactor(config);
  const decoder = (await model.programs.decoder({ images: 1, height: size, width: size })) as LatentDecoder;
  const values = numbers(size * size * config.unet.outChannels, 4);
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const latent = engine.device.buffer("latent of the bench", values.byteLength, usage);
  engine.device.gpu.queue.writeBuffer(latent, 0, values);
  return { decoder, latent };
}
