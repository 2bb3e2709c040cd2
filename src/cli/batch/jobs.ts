import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { invariant, WebldmError } from "../../core/invariant.js";
import { oneLine } from "../../weights/oneLine.js";
import { numbered } from "../pictureFile.js";
import { type PictureTask, taskFields, taskNames } from "../pictureTask.js";
import type { SamplingFlags, SizeFlags } from "../sharedOptions.js";

/** One line of a jobs file: what is to be drawn, and what follows from its place. */
export interface Job {
  readonly task: PictureTask & { readonly seed: number };
  /** Names of the pictures in the output folder. */
  readonly files: readonly string[];
  /** Tells whether a result is of this job or of one that stood in its place before. */
  readonly digest: string;
}

/** What lines leave open. */
export interface JobDefaults {
  readonly options: SamplingFlags & SizeFlags;
  /** The seed of line 0. */
  readonly seed: number;
  /** What else of the command decides how pictures look: the model and what accompanies it. */
  readonly setting: object;
}

/** Lines of a file with their numbers from 0. Empty ones count, and are left out. */
export async function* linesOf(path: string): AsyncGenerator<{ readonly index: number; readonly text: string }> {
  const lines = createInterface({ input: createReadStream(path, "utf8"), crlfDelay: Number.POSITIVE_INFINITY });
  let index = 0;
  for await (const line of lines) {
    const text = (index === 0 ? line.replace(/^\uFEFF/, "") : line).trim();
    if (text !== "") yield { index, text };
    index++;
  }
}

/** What each task takes under the names of the command line's options. */
const aliases: Readonly<Record<string, string>> = { negative: "negativePrompt" };

/** @throws WebldmError for a line that is no job */
export function parseJob(text: string, index: number, { options, seed: base, setting }: JobDefaults): Job {
  const { name, task = "generate", ...given } = objectOf(text);
  const known = taskNames.find((candidate) => candidate === task);
  invariant(known, () => `task: expected ${taskNames.join(", ")}, got ${JSON.stringify(task)}`);
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    const field = aliases[key] ?? key;
    invariant(taskFields[known].has(field), `${key}: ${known} takes no such option`);
    invariant(!(field in fields), `${key}: expected once, by one of its names`);
    fields[field] = value;
  }
  const merged = { ...options, ...fields } as Omit<PictureTask, "task">;
  const { images } = merged;
  const batch = Number.isInteger(images) && images! > 0 ? images! : undefined; // what does not fit is refused later
  const complete = { ...merged, task: known, seed: merged.seed ?? base + index * (batch ?? 1) };
  return {
    task: complete,
    files: numbered(`${nameOf(name, index)}.png`, batch),
    digest: digestOf([complete, setting]),
  };
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new WebldmError(`expected a JSON object: ${oneLine(error)}`);
  }
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
  invariant(isObject, () => `expected a JSON object, got ${text.slice(0, 80)}`);
  return json as Record<string, unknown>;
}

const numberName = (index: number): string => String(index).padStart(6, "0");

function nameOf(name: unknown, index: number): string {
  if (name === undefined) return numberName(index);
  const fits = typeof name === "string" && /^[\p{L}\p{N}_][\p{L}\p{N} ._-]{0,119}$/u.test(name) && !/[ .]$/.test(name);
  invariant(fits, () => `name: expected letters, digits and . _ - without a folder, got ${JSON.stringify(name)}`);
  const foreign = /^\d{6,}(-\d+)?$/.test(name) && name !== numberName(index);
  invariant(!foreign, `name: ${name} is the name of another line`);
  return name;
}

/** Objects with their keys in order, so that the same job has the same text. */
const sorted = (_key: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

const digestOf = (job: unknown): string =>
  createHash("sha256").update(JSON.stringify(job, sorted)).digest("hex").slice(0, 16);
