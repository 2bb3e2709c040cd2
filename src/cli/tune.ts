import { writeFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { WebldmError } from "../core/invariant.js";
import { createEngine, type TuneProgress } from "../index.js";
import { tuneModel } from "../pipeline/tuned.js";
import { oneLine } from "../weights/oneLine.js";
import { openAdapter } from "./dawn.js";
import { defined } from "./defined.js";
import { modelName, readCheckpoint } from "./loadModel.js";
import { checkOut } from "./pictureFile.js";
import { openProgress } from "./progress.js";
import type { DeviceOptions, ModelOptions, SamplingFlags, SizeFlags } from "./sharedOptions.js";

export interface TuneCommandOptions
  extends ModelOptions,
    SizeFlags,
    DeviceOptions,
    Pick<SamplingFlags, "images" | "guidance" | "memoryBudget"> {
  readonly seconds?: number;
  readonly again?: boolean;
  readonly out?: string;
}

/** `webldm tune`: measures the forms of a model's kernels on this machine, keeps the fastest, and writes them to a file. */
export async function tune(options: TuneCommandOptions, signal: AbortSignal): Promise<number> {
  const { dtype, json, out, width, height, images, guidance, memoryBudget, seconds, again } = options;
  if (out !== undefined) checkOut(out);
  const checkpoint = await readCheckpoint(options, signal);
  const progress = await openProgress();
  const engine = await createEngine({ adapter: await openAdapter(), ...defined({ dtype }) });
  const started = performance.now();
  let last: TuneProgress = { done: 0, total: 0 };
  try {
    const onProgress = (news: TuneProgress) => {
      last = news;
      progress.onTune(news.done, news.total);
    };
    const request = defined({ width, height, images, guidance, memoryBudget, seconds, again });
    const tuned = await tuneModel(engine.device, engine.dtype, checkpoint, { ...request, onProgress }, signal);
    const { table, ops } = tuned;
    progress.stop();
    if (out !== undefined) write(out, `${JSON.stringify(table, undefined, 2)}\n`);
    const forms = Object.values(table.entries);
    const summary = {
      model: modelName(options),
      adapter: table.adapter,
      dtype: engine.dtype,
      id: table.id,
      ops,
      measured: last.done,
      left: last.total - last.done,
      faster: forms.filter((form) => form !== "usual").length,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      ...defined({ file: out }),
    };
    process.stdout.write(`${json ? JSON.stringify(summary) : text(summary)}\n`);
    return 0;
  } finally {
    progress.stop();
    checkpoint.close?.();
    engine.dispose();
  }
}

interface Summary {
  readonly model: string;
  readonly adapter: string;
  readonly dtype: string;
  readonly id: string;
  readonly ops: number;
  readonly measured: number;
  readonly left: number;
  readonly faster: number;
  readonly seconds: number;
}

const text = ({ model, adapter, dtype, id, ops, measured, left, faster, seconds }: Summary): string =>
  [
    `${model} on ${adapter}, ${dtype}`,
    `${ops} ops with several forms: ${measured} measured in ${seconds.toFixed(1)} s, ${ops - measured - left} known before, ${left} left`,
    `${faster} are faster in another form than the usual one; tuning ${id}`,
    ...(left ? ["the time was over before all were measured: run it again, or with more --seconds"] : []),
  ].join("\n");

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new WebldmError(`${file}: could not be written: ${oneLine(error)}`);
  }
}
