import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { JobResult } from "./job.js";
import { markdown } from "./markdown.js";
import type { SpeedOptions } from "./options.js";
import { compact, type Report, saveReport } from "./report.js";

/** The commit that was measured: told by whoever bundled it, or by git. */
export function commit(): string {
  const told = process.env["BENCH_COMMIT"];
  if (told) return told;
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

/** Writes the report and prints it, what matters last. */
export function finish(
  host: "node" | "chrome",
  versions: Readonly<Record<string, string>>,
  result: JobResult,
  { out, json, job }: SpeedOptions,
): void {
  const date = new Date().toISOString().slice(0, 10);
  const report: Report = { host, date, versions: { webldm: commit(), ...versions }, ...result };
  if (json) writeFileSync(json, compact(report));
  else console.log(`${saveReport(out, report, [...job.measures, ...(job.only ? [job.only] : [])])}.md`);
  console.log(markdown({ ...report, rows: [] }, [], 12));
  console.log(markdown({ ...report, tables: [], growth: [] }));
}
