import { invariant } from "../../core/invariant.js";
import type { Device } from "../../gpu/device.js";
import type { Result } from "./case.js";
import type { Precision } from "./compare.js";
import { discover } from "./discover.js";
import { Lab } from "./lab.js";
import { exitStatus, resultJson, resultLine, type Tally, tallyLine } from "./report.js";
import { runCase } from "./run.js";

export interface ConformanceOptions {
  readonly folder: string;
  /** Only cases whose name contains this. */
  readonly filter?: string;
  readonly precision: Precision;
  readonly json: boolean;
  readonly openDevice: () => Promise<Device>;
  readonly write?: (line: string) => void;
  readonly note?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs the cases of a folder of reference data, prints a line for each, and gives the exit status. */
export async function conformance(options: ConformanceOptions): Promise<number> {
  const { folder, filter = "", precision, json, openDevice, signal } = options;
  const {
    write = (line: string) => process.stdout.write(`${line}\n`),
    note = (line: string) => process.stderr.write(`${line}\n`),
  } = options;
  const cases = (await discover(folder)).filter(({ name }) => name.includes(filter));
  invariant(cases.length > 0, `--filter ${filter}: no case of ${folder} has this in its name`);
  const device = await openDevice();
  const missing = precision === "f16" && !device.features.f16;
  if (missing) device.dispose();
  invariant(!missing, `--dtype f16: expected an adapter with shader-f16, ${device.adapterName} has none`);
  const lab = new Lab(device, precision);
  const tally: Tally = { pass: 0, fail: 0, unsupported: 0 };
  try {
    for (const one of cases) {
      signal?.throwIfAborted();
      const result: Result = await runCase(one, lab);
      tally[result.status]++;
      write(json ? resultJson(result) : resultLine(result));
    }
  } finally {
    lab.dispose();
    device.dispose();
  }
  note(`${tallyLine(tally)} (${precision} on ${device.adapterName})`);
  return exitStatus(tally);
}
