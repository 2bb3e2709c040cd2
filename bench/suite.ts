// The measurements themselves: the same code runs in a page and in Node.
import { dtypeBytes } from "../src/core/dtype.js";
import type { Call } from "../src/graph/graph.js";
import type { Engine } from "../src/pipeline/engine.js";
import type { LatentDecoder } from "../src/pipeline/firstStage.js";
import type { LatentDiffusion } from "../src/pipeline/latentDiffusion.js";
import { latentFactor } from "../src/pipeline/modelConfig.js";
import { NoiseStream } from "../src/pipeline/noiseStream.js";
import { profile } from "../src/plan/profile.js";
import { samplerPath } from "../src/sampling/sampler.js";
import type { Folder } from "../src/weights/folder.js";

export interface SuiteOptions {
  readonly prompt: string;
  readonly steps: number;
  readonly seed: number;
  /** Counted runs, after one that warms up. */
  readonly repeats: number;
}

export interface KernelRow {
  readonly kernel: string;
  readonly count: number;
  readonly milliseconds: number;
  /** Share of the phase's time. */
  readonly share: number;
  readonly gflops: number;
  /** Bytes of all bound ranges, once each. */
  readonly gbytesPerSecond: number;
}

export interface SuiteResult {
  readonly adapter: string;
  readonly dtype: string;
  readonly request: SuiteOptions & { readonly width: number; readonly height: number; readonly guidance: number };
  readonly load: { readonly milliseconds: number };
  readonly compile: { readonly milliseconds: number; readonly pipelines: number };
  /** Milliseconds from the first noise to the last latent, all steps; sorted. */
  readonly sampling: { readonly median: number; readonly all: readonly number[]; readonly perStep: number };
  /** Milliseconds of a whole request: text, sampling, decoder, read-back; sorted. */
  readonly picture: { readonly median: number; readonly all: readonly number[] };
  /** Runs of one request gave the same bytes. */
  readonly identical: boolean;
  readonly memory: { readonly weights: number; readonly intermediates: number };
  readonly dispatches: { readonly step: number; readonly decode: number };
  /** One step and one decode with a timestamp around each dispatch; absent where the adapter has no timestamps. */
  readonly kernels?: { readonly step: readonly KernelRow[]; readonly decode: readonly KernelRow[] };
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]) => sorted(values)[Math.floor(values.length / 2)]!;

export async function runSuite(
  engine: Engine,
  folder: Folder,
  options: SuiteOptions,
): Promise<{ result: SuiteResult; pixels: Uint8ClampedArray }> {
  const { prompt, steps, seed, repeats } = options;
  const started = performance.now();
  const model = await engine.load(folder);
  const loaded = performance.now();
  await model.prepare();
  const compiled = performance.now();
  const { width, height, guidance } = model.defaults;

  const pictures: number[] = [];
  let pixels: Uint8ClampedArray | undefined;
  let identical = true;
  for (let i = 0; i <= repeats; i++) {
    const picture = await model.textToImage({ prompt, steps, seed });
    if (i > 0) pictures.push(picture.milliseconds);
    const before = pixels;
    pixels = picture.pixels;
    identical &&= before === undefined || before.every((byte, at) => byte === pixels![at]);
  }
  const sampling: number[] = [];
  for (let i = 0; i < repeats; i++) sampling.push(await sample(engine, model, options));

  const { denoiser, decoder } = await programsOf(model, options);
  const [decode] = decoder.plans;
  const kernels = engine.device.features.timestamps
    ? {
        step: summarise(await profile(denoiser.plan, "step")),
        decode: summarise(await profile(decode!, "step")),
      }
    : undefined;
  const { memory } = model;
  model.dispose();
  const result: SuiteResult = {
    adapter: engine.adapter,
    dtype: engine.dtype,
    request: { ...options, width, height, guidance },
    load: { milliseconds: loaded - started },
    compile: { milliseconds: compiled - loaded, pipelines: engine.device.pipelines.size },
    sampling: { median: median(sampling), all: sorted(sampling), perStep: median(sampling) / steps },
    picture: { median: median(pictures), all: sorted(pictures) },
    identical,
    memory,
    dispatches: { step: denoiser.plan.count("step"), decode: decode!.count("step") },
    ...(kernels ? { kernels } : {}),
  };
  return { result, pixels: pixels! };
}

/** The compiled programs of the model's default request. */
async function programsOf(model: LatentDiffusion, { steps }: SuiteOptions) {
  const { programs, config } = model;
  const { width, height, guidance } = model.defaults;
  const factor = latentFactor(config);
  const size = { images: 1, height: height / factor, width: width / factor };
  const path = samplerPath(config.scheduler, { steps });
  const denoiser = await programs.denoiser({
    ...size,
    guided: guidance !== 1,
    guidanceRescale: false,
    contextLength: model.tokenize("any").ids.length,
    noise: "torch",
    stepNoise: path.draws,
    thresholding: false,
    registers: path.registers,
  });
  return { path, denoiser, decoder: (await programs.decoder(size)) as LatentDecoder };
}

/** Milliseconds of all denoising steps, from the seeded latent until the device is done. */
async function sample(engine: Engine, model: LatentDiffusion, options: SuiteOptions): Promise<number> {
  const { guidance } = model.defaults;
  const { path, denoiser } = await programsOf(model, options);
  const prompts = [...(guidance === 1 ? [] : [""]), options.prompt];
  const contexts = await model.programs.contextEncoder(prompts.length);
  contexts.encode(prompts.map((text) => model.tokenize(text).ids));
  denoiser.setContext(contexts.buffer);
  denoiser.prepare();
  await engine.device.idle();
  const started = performance.now();
  denoiser.fillNoise(new NoiseStream({ noise: "torch", seeds: [options.seed] }).draw(denoiser.latentShape));
  for (const step of path.steps) denoiser.step(step, guidance);
  await engine.device.idle();
  return performance.now() - started;
}

function summarise(timings: readonly { readonly call: Call; readonly microseconds: number }[]): KernelRow[] {
  const rows = new Map<string, { count: number; microseconds: number; flops: number; bytes: number }>();
  const total = timings.reduce((sum, { microseconds }) => sum + microseconds, 0);
  for (const { call, microseconds } of timings) {
    const row = rows.get(call.kernel.name) ?? { count: 0, microseconds: 0, flops: 0, bytes: 0 };
    row.count++;
    row.microseconds += microseconds;
    row.flops += flopsOf(call);
    row.bytes += bytesOf(call);
    rows.set(call.kernel.name, row);
  }
  return [...rows]
    .map(([kernel, { count, microseconds, flops, bytes }]) => ({
      kernel,
      count,
      milliseconds: microseconds / 1000,
      share: microseconds / total,
      gflops: microseconds > 0 ? flops / microseconds / 1000 : 0,
      gbytesPerSecond: microseconds > 0 ? bytes / microseconds / 1000 : 0,
    }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}

/** Floating-point operations of the products; the rest is counted by its bytes. */
function flopsOf({ kernel, params, grid, reads }: Call): number {
  if (/^(conv2d|linear)/.test(kernel.name)) return 2 * params["rows"]! * params["outputs"]! * params["inner"]!;
  if (kernel.name.startsWith("attention")) {
    const images = reads[0]!.tensor.shape[0]!;
    const heads = grid[1];
    return 4 * images * heads * params["queries"]! * params["keys"]! * params["headSize"]!;
  }
  return 0;
}

const bytesOf = ({ reads, writes }: Call): number =>
  [...reads, ...writes].reduce((sum, w) => sum + (w ? w.length * dtypeBytes[w.tensor.dtype] : 0), 0);

/** A result as lines of text. */
export function show(result: SuiteResult): string {
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const { request, sampling, picture, compile, load, memory, dispatches } = result;
  const lines = [
    `${result.adapter}, ${result.dtype}`,
    `"${request.prompt}" ${request.width} x ${request.height}, ${request.steps} steps, guidance ${request.guidance}, median of ${request.repeats}`,
    `sampling ${ms(sampling.median)} (${ms(sampling.perStep)} a step, ${dispatches.step} dispatches), picture ${ms(picture.median)}`,
    `load ${ms(load.milliseconds)}, compile ${ms(compile.milliseconds)} for ${compile.pipelines} pipelines`,
    `weights ${(memory.weights / 2 ** 20).toFixed(1)} MiB, intermediates ${(memory.intermediates / 2 ** 20).toFixed(1)} MiB, runs identical: ${result.identical}`,
  ];
  for (const [phase, rows] of Object.entries(result.kernels ?? {})) {
    lines.push(`${phase}:`);
    for (const row of rows) {
      const rate = row.gflops > 0 ? `${row.gflops.toFixed(1)} GFLOP/s` : `${row.gbytesPerSecond.toFixed(1)} GB/s`;
      lines.push(
        `  ${row.kernel.padEnd(18)} x${String(row.count).padEnd(4)} ${row.milliseconds.toFixed(3).padStart(9)} ms ${(100 * row.share).toFixed(1).padStart(5)}%  ${rate}`,
      );
    }
  }
  return lines.join("\n");
}
