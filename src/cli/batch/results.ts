import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { linesOf } from "./jobs.js";
import type { Shard } from "./shard.js";

/** What became of a job: one line of the results. */
export interface Result {
  /** The job's line, from 0. */
  readonly index: number;
  readonly status: "done" | "failed";
  /** The picture, or of a batch the pictures, by their names in the output folder. */
  readonly file?: string;
  readonly files?: readonly string[];
  readonly seed?: number;
  readonly milliseconds?: number;
  readonly warnings?: readonly string[];
  readonly error?: string;
  readonly digest?: string;
}

const resultsFile = ({ index, count }: Shard): string =>
  count === 1 ? "results.jsonl" : `results-${index}-of-${count}.jsonl`;

/** Digests of the jobs that some run has done into a folder, whatever its shards were, by the jobs' lines. */
export async function doneJobs(folder: string): Promise<ReadonlyMap<number, string>> {
  const done = new Map<number, string>();
  for (const name of readdirSync(folder).filter((name) => /^results(-\d+-of-\d+)?\.jsonl$/.test(name))) {
    for await (const { text } of linesOf(join(folder, name))) {
      const result = parsed(text);
      if (result?.status === "done" && result.digest) done.set(result.index, result.digest);
    }
  }
  return done;
}

/** A process that was killed may leave part of a line: it counts for nothing. */
function parsed(text: string): Result | undefined {
  try {
    return JSON.parse(text) as Result;
  } catch {
    return undefined;
  }
}

/** The results of a shard, to which lines are added. */
export class ResultsLog {
  private readonly file: number;

  constructor(folder: string, shard: Shard) {
    const path = join(folder, resultsFile(shard));
    const ends = !existsSync(path) || endsLine(path);
    this.file = openSync(path, "a");
    if (!ends) writeSync(this.file, "\n"); // after what a killed process left of a line
  }

  add(result: Result): void {
    writeSync(this.file, `${JSON.stringify(result)}\n`);
  }

  close(): void {
    closeSync(this.file);
  }
}

function endsLine(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    return size === 0 || (readSync(file, last, 0, 1, size - 1) === 1 && last[0] === 0x0a);
  } finally {
    closeSync(file);
  }
}
