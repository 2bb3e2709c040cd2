// What a host (a page, or Node) is asked to measure, and what it answers: plain data on both sides.
import { createEngine } from "../../src/pipeline/engine.js";
import type { ModelConfig } from "../../src/pipeline/modelConfig.js";
import { stableDiffusion15 } from "../configs.js";
import type { TimingOptions } from "./clock.js";
import { countGpuBytes, type GpuBytes } from "./gpuBytes.js";
import { type GrowthSeries, growth } from "./growth.js";
import { kernelTable } from "./kernelTable.js";
import { type Memory, modelRows } from "./modelRows.js";
import { acceptanceCases, furtherCases, smallCases } from "./opCases.js";
import { opRows } from "./opRows.js";
import type { KernelTable, Row } from "./row.js";
import { decoderOf, denoiserOf, loadSubject } from "./subject.js";
import { type Path, pathOf, targetOf } from "./targets.js";
import { tiny } from "./tinyConfig.js";
import { withheld } from "./without.js";

export const measures = ["cases", "further", "small", "models", "kernels", "growth"] as const;
export type Measure = (typeof measures)[number];

export const models = { sd15: stableDiffusion15, tiny } satisfies Record<string, ModelConfig>;

export interface Job {
  readonly measures: readonly Measure[];
  readonly model: keyof typeof models;
  readonly dtype?: "f32" | "f16";
  /** Features of the device to do without. */
  readonly without: readonly string[];
  /** Counted runs of each row. */
  readonly runs: number;
  /** Seconds after which a row of a whole model gets no more runs. */
  readonly seconds: number;
  /** Only rows of whole models, operators and series whose ids contain this. */
  readonly only?: string;
  readonly errors: boolean;
}

export interface JobResult {
  readonly adapter: string;
  readonly vendor: Readonly<Record<string, string>>;
  readonly dtype: "f32" | "f16";
  readonly path: Path;
  readonly features: readonly string[];
  readonly without: readonly string[];
  readonly model: string;
  readonly rows: readonly Row[];
  readonly tables: readonly KernelTable[];
  readonly growth: readonly GrowthSeries[];
  readonly memory?: Memory;
  /** Milliseconds until random weights, made on the fly, are on the device. */
  readonly loading?: number;
  readonly pipelines: number;
}

/** Counts for as long as the host lives: what it wraps can be wrapped once only. */
let counted: GpuBytes | undefined;

export async function runJob(adapter: GPUAdapter, job: Job, log: (line: string) => void = () => undefined) {
  counted ??= countGpuBytes();
  const engine = await createEngine({
    adapter: withheld(adapter, job.without),
    ...(job.dtype ? { dtype: job.dtype } : {}),
  });
  try {
    return await measured(engine, counted, adapter, job, log);
  } finally {
    engine.dispose();
  }
}

async function measured(
  engine: Awaited<ReturnType<typeof createEngine>>,
  bytes: GpuBytes,
  adapter: GPUAdapter,
  job: Job,
  log: (line: string) => void,
): Promise<JobResult> {
  const { device, dtype } = engine;
  const config = models[job.model];
  const only = (id: string) => job.only === undefined || id.includes(job.only);
  const timing: TimingOptions = { runs: job.runs };
  const rows: Row[] = [];
  const tables: KernelTable[] = [];
  const series: GrowthSeries[] = [];
  let memory: Memory | undefined;
  let loading: number | undefined;
  const has = (measure: Measure) => job.measures.includes(measure);

  const cases = [
    ...(has("cases") ? acceptanceCases() : []),
    ...(has("further") ? furtherCases() : []),
    ...(has("small") ? smallCases() : []),
  ].filter(({ id }) => only(id));
  if (cases.length > 0) rows.push(...(await opRows(device, dtype, cases, timing)));

  const whole = has("cases") || has("models");
  if (whole || has("kernels")) {
    log("weights");
    const subject = await loadSubject(engine, config);
    loading = subject.loading;
    const side = subject.model.defaults.width;
    if (whole) {
      log("whole models");
      const accepted = (id: string) => /batch 2|VAE|picture/.test(id) && !id.startsWith("text");
      const result = await modelRows(
        subject,
        bytes,
        { side, ...(has("models") ? { larger: 2 * side } : {}) },
        { ...job, only: (id) => only(id) && (has("models") || accepted(id)) },
      );
      rows.push(...result.rows);
      memory = result.memory;
    }
    if (has("kernels")) {
      log("kernels");
      const { denoiser } = await denoiserOf(subject, { guided: true, side });
      const { errors, runs } = job;
      tables.push(await kernelTable(denoiser.plan, { program: "UNet step batch 2", runs, errors }));
      const { decoder, latent } = await decoderOf(subject, side);
      await decoder.decode(latent); // sets its input
      tables.push(await kernelTable(decoder.plans[0]!, { program: `VAE decode ${side}`, runs, errors }));
    }
    subject.model.dispose();
  }
  if (has("growth")) series.push(...(await growth(engine, config, bytes, { ...job, only }, log)));
  const { vendor, architecture, device: card, description } = adapter.info;
  const path = pathOf(device, dtype);
  return {
    adapter: engine.adapter,
    vendor: { vendor, architecture, device: card, description },
    dtype,
    path,
    features: [...device.gpu.features].sort(),
    without: job.without,
    model: job.model,
    rows: job.model === "sd15" ? rows.map((row) => ({ ...row, ...targetOf(path, row.id) })) : rows,
    tables,
    growth: series,
    ...(memory ? { memory } : {}),
    ...(loading === undefined ? {} : { loading }),
    pipelines: device.pipelines.size,
  };
}
