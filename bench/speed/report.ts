// What a run leaves behind: figures with adapter, versions and date.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { growthPlots } from "./growthPlot.js";
import type { JobResult } from "./job.js";
import { markdown } from "./markdown.js";
import { roofline } from "./roofline.js";

export interface Report extends JobResult {
  readonly date: string;
  /** Of the host, its WebGPU, and this project. */
  readonly versions: Readonly<Record<string, string>>;
  /** "node" or "chrome". */
  readonly host: string;
}

/** Four digits are more than a measurement has. */
export const compact = (report: unknown): string =>
  `${JSON.stringify(report, (_key, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value))}\n`;

export const readReport = (path: string): Report => JSON.parse(readFileSync(path, "utf8")) as Report;

/**
 * Writes `speed-<name>.json`, and the same as Markdown with its plots.
 * @param what was measured, for the name
 * @returns the path without its ending
 */
export function saveReport(folder: string, report: Report, what: readonly string[]): string {
  const { host, adapter, dtype, without, model } = report;
  const name = ["speed", host, adapter.slice(0, 40), model, dtype, ...without.map((f) => `no-${f}`), ...what]
    .join("-")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  const plots = new Map([...roofline(report), ...growthPlots(report)]);
  for (const [plot, svg] of plots) writeFileSync(`${path}-${plot}.svg`, svg);
  writeFileSync(`${path}.json`, compact(report));
  writeFileSync(
    `${path}.md`,
    markdown(
      report,
      [...plots.keys()].map((plot) => [plot, `${name}-${plot}.svg`] as const),
    ),
  );
  return path;
}
