import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { invariant, WebldmError } from "../../core/invariant.js";
import type { Checkpoint } from "../../index.js";
import { integer, validate, validateSize } from "../../pipeline/request.js";
import { oneLine } from "../../weights/oneLine.js";
import { defined } from "../defined.js";
import { loadModel, modelName, type Opened, readCheckpoint } from "../loadModel.js";
import { pngOf } from "../pictureFile.js";
import { type PreparedTask, prepareTask } from "../pictureTask.js";
import { openProgress, type Progress } from "../progress.js";
import {
  type DeviceOptions,
  type ModelOptions,
  type SamplingFlags,
  type SizeFlags,
  samplingOf,
  shapeOf,
  type TuningFlags,
} from "../sharedOptions.js";
import { type Job, type JobDefaults, linesOf, parseJob } from "./jobs.js";
import { OutputFolder } from "./output.js";
import { doneJobs, type Result, ResultsLog } from "./results.js";
import { type Shard, shardOf } from "./shard.js";

export interface BatchOptions extends ModelOptions, SamplingFlags, SizeFlags, DeviceOptions, TuningFlags {
  readonly out: string;
  /** I/N */
  readonly shard?: string;
}

/**
 * `webldm batch`: draws what each line of a file asks for. Jobs that are done are not done again; one that fails is
 * recorded, and the rest go on.
 * @returns 0 when all jobs of the shard are done, 1 when some failed
 */
export async function batch(jobs: string, options: BatchOptions, signal: AbortSignal): Promise<number> {
  const started = performance.now();
  invariant(existsSync(jobs) && statSync(jobs).isFile(), `${jobs}: expected a file with a job a line, there is none`);
  const { out, json, seed = 0 } = options;
  invariant(!existsSync(out) || statSync(out).isDirectory(), `--out: expected a folder, '${out}' is a file`);
  const shard = shardOf(options.shard, process.env);
  integer("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  const { seed: _base, ...sampling } = samplingOf(options);
  const checkpoint = await readCheckpoint(options, signal);
  validate(sampling, checkpoint);
  const { width, height } = options;
  const size = defined({ width, height });
  validateSize(size, checkpoint);
  mkdirSync(out, { recursive: true });
  const progress = await openProgress();
  const { config, vae, tokenizer, ema, dtype } = options;
  const setting = defined({ model: modelName(options), config, vae, tokenizer, ema, dtype });
  const defaults = { options: { ...sampling, ...size }, seed, setting };
  const run = new BatchRun(jobs, options, defaults, shard, checkpoint, progress, signal);
  try {
    const counts = await run.all();
    progress.stop();
    const milliseconds = Math.round(performance.now() - started);
    const summary = { out, shard: `${shard.index}/${shard.count}`, ...counts, milliseconds };
    const { total, done, skipped, failed } = counts;
    const seconds = (milliseconds / 1000).toFixed(1);
    const line = `${out}: ${total} jobs, ${done} done, ${skipped} done before, ${failed} failed, ${seconds} s`;
    process.stdout.write(`${json ? JSON.stringify(summary) : line}\n`);
    return counts.failed > 0 ? 1 : 0;
  } finally {
    progress.stop();
    run.dispose();
  }
}

/** One walk over the lines of a jobs file. */
class BatchRun {
  private readonly output: OutputFolder;
  private readonly log: ResultsLog;
  /** Which line each name belongs to: of all shards, so that all agree who is first. */
  private readonly owners = new Map<string, number>();
  private opened: Opened | undefined;

  constructor(
    private readonly jobs: string,
    private readonly options: BatchOptions,
    private readonly defaults: JobDefaults,
    private readonly shard: Shard,
    private readonly checkpoint: Checkpoint,
    private readonly progress: Progress,
    private readonly signal: AbortSignal,
  ) {
    this.output = new OutputFolder(options.out, shard);
    this.log = new ResultsLog(options.out, shard);
  }

  async all() {
    const counts = { total: 0, done: 0, skipped: 0, failed: 0 };
    const before = await doneJobs(this.options.out);
    const expected = process.stderr.isTTY ? await this.count() : 0;
    for await (const { index, text } of linesOf(this.jobs)) {
      this.signal.throwIfAborted();
      const job = this.parse(text, index);
      if (!this.isOurs(index)) continue;
      counts.total++;
      if ("files" in job && before.get(index) === job.digest && job.files.every((file) => this.output.holds(file))) {
        counts.skipped++;
      } else {
        const result = "error" in job ? this.failed(index, job.error) : await this.attempt(index, job);
        this.log.add(result);
        counts[result.status]++;
      }
      this.progress.onJob(counts.total, expected);
    }
    return counts;
  }

  dispose(): void {
    this.log.close();
    this.opened?.engine.dispose();
  }

  private isOurs = (index: number): boolean => index % this.shard.count === this.shard.index;

  private async count(): Promise<number> {
    let lines = 0;
    for await (const { index } of linesOf(this.jobs)) if (this.isOurs(index)) lines++;
    return lines;
  }

  private parse(text: string, index: number): Job | { readonly error: unknown } {
    try {
      const job = parseJob(text, index, this.defaults);
      const taken = job.files.find((file) => this.owners.has(file));
      invariant(taken === undefined, () => `name: ${taken} is that of line ${this.owners.get(taken!)! + 1} already`);
      for (const file of job.files) this.owners.set(file, index);
      return job;
    } catch (error) {
      return { error };
    }
  }

  private async attempt(index: number, job: Job): Promise<Result> {
    const started = performance.now();
    const { task, files, digest } = job;
    const failed = (error: unknown): Result => ({ ...this.failed(index, error), seed: task.seed, digest });
    let prepared: PreparedTask;
    try {
      prepared = await prepareTask(task, this.checkpoint, dirname(this.jobs));
    } catch (error) {
      return failed(error);
    }
    // The device is opened when the first job needs it. What fails here would fail for every job, and ends the run.
    this.opened ??= await this.open();
    try {
      const pictures = await prepared.draw(this.opened.model, { signal: this.signal });
      for (const [i, picture] of pictures.entries()) {
        await this.output.write(files[i]!, await pngOf(picture, modelName(this.options)));
      }
      const warnings = [...prepared.notes, ...pictures[0]!.warnings];
      return {
        index,
        status: "done",
        ...(task.images === undefined ? { file: files[0]! } : { files }),
        seed: task.seed,
        milliseconds: Math.round(performance.now() - started),
        ...(warnings.length ? { warnings } : {}),
        digest,
      };
    } catch (error) {
      if (this.signal.aborted || this.isLost()) throw error;
      return failed(error);
    }
  }

  /** Tuned for what the command asks for, whatever single lines say: all shards, and a run that goes on, do the same. */
  private open(): Promise<Opened> {
    const { options } = this;
    return loadModel(this.checkpoint, options, shapeOf(options, options), this.progress, this.signal);
  }

  /** No later job can succeed without a device. */
  private isLost(): boolean {
    if (!this.opened) return false;
    try {
      this.opened.engine.device.check();
      return false;
    } catch (error) {
      return error instanceof WebldmError && error.message.startsWith("GPU: the device was lost");
    }
  }

  private failed(index: number, error: unknown): Result {
    const message = oneLine(error);
    this.progress.note(`webldm: ${this.jobs}:${index + 1}: ${message}`);
    return { index, status: "failed", error: message };
  }
}
