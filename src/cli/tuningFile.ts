import { existsSync, readFileSync } from "node:fs";
import { invariant, WebldmError } from "../core/invariant.js";
import type { Engine, LoadOptions, TuningTable } from "../index.js";
import type { RequestShape } from "../pipeline/requestGraphs.js";
import { adapterOf, parseTable } from "../pipeline/tuned.js";
import { oneLine } from "../weights/oneLine.js";
import type { Progress } from "./progress.js";
import type { TuningFlags } from "./sharedOptions.js";

/**
 * How a model is loaded with the flags of the command line, for pictures of a shape.
 * @throws WebldmError for a file that holds no table
 */
export async function tuningOptions(
  { tune, tuning }: TuningFlags,
  shape: RequestShape,
  { onTune }: Pick<Progress, "onTune">,
): Promise<Pick<LoadOptions, "tune" | "tuning">> {
  invariant(!tune || tuning === undefined, "--tune, --tuning: expected one of them, got both");
  if (tuning !== undefined) return { tuning: readTable(tuning) };
  return tune ? { tune: { ...shape, onProgress: ({ done, total }) => onTune(done, total) } } : {};
}

function readTable(file: string): TuningTable {
  invariant(existsSync(file), () => `--tuning: expected a file of webldm tune --out, '${file}' does not exist`);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new WebldmError(`${file}: is not valid JSON: ${oneLine(error)}`);
  }
  return parseTable(json, file);
}

/** A table of another adapter is as right, but what is fastest there may not be so here. */
export function noteOtherAdapter(table: TuningTable, { device }: Engine, progress: Pick<Progress, "note">): void {
  const here = adapterOf(device);
  if (table.adapter !== here) progress.note(`webldm: --tuning: measured on ${table.adapter}, this is ${here}`);
}
