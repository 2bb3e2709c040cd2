import { performance } from "node:perf_hooks";
import { latentChannels, latentFactor } from "../pipeline/modelConfig.js";
import { integer, validateSize } from "../pipeline/request.js";
import { defined } from "./defined.js";
import { loadModel, modelName, readCheckpoint } from "./loadModel.js";
import { type PictureTask, prepareTask } from "./pictureTask.js";
import { openProgress } from "./progress.js";
import {
  type DeviceOptions,
  type ModelOptions,
  type SamplingFlags,
  type SizeFlags,
  samplingOf,
  type TuningFlags,
} from "./sharedOptions.js";

export interface BenchOptions
  extends ModelOptions,
    Omit<SamplingFlags, "images" | "memoryBudget">,
    SizeFlags,
    DeviceOptions,
    TuningFlags {
  readonly repeats?: number;
  readonly label?: number;
}

/**
 * `webldm bench`: how fast this machine draws. The first picture, which compiles the programs, is not counted. Sampling is
 * what a picture takes without its decoding.
 */
export async function bench(prompt: string | undefined, options: BenchOptions, signal: AbortSignal): Promise<number> {
  const { repeats = 5, json, width, height, label } = options;
  integer("repeats", repeats, 1, 1000);
  const checkpoint = await readCheckpoint(options, signal);
  const sized = defined({ width, height });
  const size = validateSize(sized, checkpoint);
  const words = prompt ?? (checkpoint.tokenizer ? "a lighthouse at dusk" : undefined);
  const sampling = { seed: 0, ...samplingOf(options) };
  const task: PictureTask = { task: "generate", ...sampling, ...sized, ...defined({ prompt: words, label }) };
  const prepared = await prepareTask(task, checkpoint);
  const progress = await openProgress();
  const started = performance.now();
  const { engine, model } = await loadModel(checkpoint, options, prepared.shape, progress, signal);
  try {
    const load = performance.now() - started;
    const draw = () => prepared.draw(model, { onStep: progress.onStep, signal });
    const [first] = await draw();
    const pictures: number[] = [];
    for (let i = 0; i < repeats; i++) pictures.push(await timed(draw));
    const { config } = checkpoint;
    const factor = latentFactor(config);
    const shape = { channels: latentChannels(config), height: size.height / factor, width: size.width / factor };
    const values = new Float32Array(shape.channels * shape.height * shape.width);
    const decodes: number[] = [];
    for (let i = 0; config.firstStage && i < repeats; i++) {
      signal.throwIfAborted();
      decodes.push(await timed(() => model.decode({ ...shape, values })));
    }
    progress.stop();
    const picture = median(pictures);
    const decode = decodes.length ? median(decodes) : 0;
    const sample = Math.max(0, picture - decode);
    const { steps } = first!;
    const { adapter, dtype } = engine;
    const result = {
      model: modelName(options),
      adapter,
      dtype,
      ...size,
      steps,
      guidance: first!.guidance,
      sampler: first!.sampler,
      repeats,
      milliseconds: { load, first: first!.milliseconds, picture, sampling: sample, step: sample / steps, decode },
      memory: model.memory,
      ...(first!.tuning ? { tuning: first!.tuning } : {}),
    };
    process.stdout.write(`${json ? JSON.stringify(rounded(result)) : text(result)}\n`);
    return 0;
  } finally {
    progress.stop();
    engine.dispose();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2;
}

interface BenchResult {
  readonly model: string;
  readonly adapter: string;
  readonly dtype: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number;
  readonly sampler: string;
  readonly repeats: number;
  /** `first` compiles; the others are medians. */
  readonly milliseconds: Readonly<Record<"load" | "first" | "picture" | "sampling" | "step" | "decode", number>>;
  readonly memory: { readonly weights: number; readonly intermediates: number };
  readonly tuning?: string;
}

function rounded(result: BenchResult): BenchResult {
  const tenths = Object.entries(result.milliseconds).map(([name, value]) => [name, Math.round(value * 10) / 10]);
  return { ...result, milliseconds: Object.fromEntries(tenths) };
}

function text({ milliseconds: ms, memory, ...result }: BenchResult): string {
  const { model, adapter, dtype, width, height, steps, guidance, sampler, repeats, tuning } = result;
  const seconds = (value: number) => `${(value / 1000).toFixed(3)} s`;
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return [
    `${model} on ${adapter}, ${dtype}${tuning ? `, tuning ${tuning}` : ""}`,
    `${width} x ${height}, ${steps} steps of ${sampler}, guidance ${guidance}, medians of ${repeats}`,
    `sampling  ${seconds(ms.sampling)} (${ms.step.toFixed(1)} ms a step)`,
    `decoding  ${seconds(ms.decode)}`,
    `picture   ${seconds(ms.picture)} (the first one, which compiles: ${seconds(ms.first)})`,
    `loading   ${seconds(ms.load)}`,
    `memory    ${mib(memory.weights)} of weights, ${mib(memory.intermediates)} of intermediates`,
  ].join("\n");
}
