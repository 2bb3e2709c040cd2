import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { SuiteOptions, SuiteResult } from "./suite.js";

/** What the command lines of both benches take. */
export function benchOptions(): SuiteOptions & {
  readonly model: string;
  readonly out: string;
  readonly dtype?: "f32" | "f16";
} {
  const { values } = parseArgs({
    options: {
      prompt: { type: "string", default: "a red apple" },
      steps: { type: "string", default: "20" },
      seed: { type: "string", default: "1" },
      repeats: { type: "string", default: "5" },
      model: { type: "string", default: "weights/sticker" },
      out: { type: "string", default: "bench/results" },
      dtype: { type: "string" },
    },
  });
  const { prompt, model, out, dtype } = values;
  if (dtype !== undefined && dtype !== "f32" && dtype !== "f16")
    throw new Error(`--dtype: expected f32 or f16, got ${dtype}`);
  const count = (name: "steps" | "seed" | "repeats") => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < (name === "seed" ? 0 : 1))
      throw new Error(`--${name}: expected an integer, got ${values[name]}`);
    return value;
  };
  return {
    prompt,
    model,
    out,
    steps: count("steps"),
    seed: count("seed"),
    repeats: count("repeats"),
    ...(dtype ? { dtype } : {}),
  };
}

/** Writes `<host>-<adapter>-<dtype>.json`; a new run of the same kind replaces the old one. */
export function save(folder: string, host: string, result: SuiteResult): string {
  const name = `${host}-${result.adapter}-${result.dtype}`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 80);
  const path = join(folder, `${name}.json`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, `${JSON.stringify({ host, date: new Date().toISOString().slice(0, 10), ...result }, null, 2)}\n`);
  return path;
}
