import { invariant } from "../core/invariant.js";
import type { TuningTable } from "../core/tuningTable.js";
import type { Device } from "../gpu/device.js";
import type { FormChooser, GraphOptions } from "../graph/graph.js";
import { Collector, chooserOf, type Use } from "../tuning/choosers.js";
import { KeptTables } from "../tuning/keptTables.js";
import { measuredOn } from "../tuning/measured.js";
import { type Entries, parseTable, tableOf } from "../tuning/table.js";
import { tuneOps } from "../tuning/tune.js";
import type { Checkpoint } from "./checkpoint.js";
import { settingsOf } from "./components.js";
import { type DivisionOptions, divisionFor, stageGraphs } from "./division.js";
import type { LoadOptions } from "./loadOptions.js";
import { finite } from "./request.js";
import { type RequestShape, requestGraphs } from "./requestGraphs.js";
import { settingsFor } from "./settings.js";
import type { TuneRequest } from "./tuneRequest.js";

export { parseTable } from "../tuning/table.js";

/** The adapter, with its driver as far as WebGPU tells it. */
export function adapterOf({ gpu, adapterName }: Device): string {
  const { vendor, architecture, device, description } = gpu.adapterInfo ?? {};
  return [...new Set([vendor, architecture, device, description || adapterName])].filter(Boolean).join(", ");
}

/** The forms that a model is loaded with, where its options ask for tuning. */
export async function formsFor(
  device: Device,
  dtype: "f32" | "f16",
  checkpoint: Checkpoint,
  { tune, tuning, signal }: Pick<LoadOptions, "tune" | "tuning" | "signal">,
): Promise<FormChooser> {
  invariant(
    !tune || !tuning,
    "tune, tuning: expected one of them, got both: a table that is given is not measured again",
  );
  if (tuning) return chooserOf(parseTable(tuning, "tuning"));
  const { table } = await tuneModel(device, dtype, checkpoint, tune === true || !tune ? {} : tune, signal);
  return chooserOf(table);
}

export interface Tuned {
  readonly table: TuningTable;
  /** How many ops of the request could be done in several ways, whether the table names them or the time was over before. */
  readonly ops: number;
}

/**
 * Measures what no kept table names yet of the ops of a model, and keeps it. The table that comes back is that of this
 * request: of two devices' or models' it is another.
 */
export async function tuneModel(
  device: Device,
  dtype: "f32" | "f16",
  checkpoint: Checkpoint,
  { seconds = 30, again = false, onProgress, ...request }: TuneRequest = {},
  signal?: AbortSignal,
): Promise<Tuned> {
  finite("tune.seconds", seconds, 0, 86_400);
  const adapter = adapterOf(device);
  const uses = await usesOf(checkpoint, request, await settingsFor(device, dtype), device);
  const kept = await KeptTables.open();
  const shipped = measuredOn(adapter);
  const known = again ? {} : { ...shipped, ...(await kept.read(adapter)) };
  const missing = uses.filter(({ key }) => !(key in known));
  const measured: Record<string, string> = {};
  let whole: Entries;
  try {
    if (missing.length) await tuneOps(device, missing, measured, { seconds, onProgress, signal });
  } finally {
    // What was measured before an error, or a stop, need not be measured again.
    whole = Object.keys(measured).length ? await kept.add(adapter, measured, again) : await kept.read(adapter);
  }
  const keys = new Set(uses.map(({ key }) => key));
  const entries = Object.entries({ ...shipped, ...whole }).filter(([key]) => keys.has(key));
  return { table: tableOf(adapter, Object.fromEntries(entries)), ops: uses.length };
}

/** The ops of a request that could be done in several ways, from the very programs that will run. */
export async function usesOf(
  checkpoint: Checkpoint,
  request: RequestShape,
  settings: GraphOptions,
  device: DivisionOptions["device"],
): Promise<Use[]> {
  const forms = new Collector();
  forms.steps = request.steps ?? checkpoint.defaults.steps;
  const { latent } = await requestGraphs(checkpoint, request, { ...settings, forms });
  forms.steps = 1;
  const { config } = checkpoint;
  if (config.firstStage) {
    const own = settingsOf("decoder", config, settings);
    const { memoryBudget: budget } = request;
    const fitted = { settings: own, ...(device ? { device } : {}), ...(budget === undefined ? {} : { budget }) };
    const division = divisionFor("decoder", config.firstStage, latent, fitted);
    stageGraphs("decoder", config.firstStage, latent, { ...own, forms }, division);
  }
  return forms.uses;
}
