import { parseArgs } from "node:util";
import { type Job, type Measure, measures, models } from "./job.js";
import { withheldFeatures } from "./without.js";

/** What both hosts of the bench were asked for. */
export interface SpeedOptions {
  readonly job: Job;
  readonly out: string;
  /** Write only the figures, to this file. */
  readonly json?: string;
  readonly compare?: readonly [string, string];
}

const flags = Object.fromEntries(measures.map((name) => [name, { type: "boolean" as const }]));

/**
 * Options of the suite for whole models; undefined where none of its measurements is asked for.
 * @throws Error for what it does not know
 */
export function speedOptions(args: readonly string[]): SpeedOptions | undefined {
  if (![...measures, "full", "compare"].some((name) => args.includes(`--${name}`))) return undefined;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...flags,
      full: { type: "boolean" },
      compare: { type: "boolean" },
      model: { type: "string", default: "sd15" },
      dtype: { type: "string" },
      without: { type: "string", default: "" },
      runs: { type: "string", default: "20" },
      seconds: { type: "string", default: "40" },
      only: { type: "string" },
      "no-errors": { type: "boolean" },
      out: { type: "string", default: "bench/results" },
      json: { type: "string" },
    },
  });
  const { model, dtype, without, only, out, json, full, compare } = values;
  const [before, after, ...rest] = positionals;
  if (compare ? !before || !after || rest.length > 0 : before !== undefined)
    throw new Error(compare ? "--compare: expected two reports, OLD.json NEW.json" : `unexpected argument ${before}`);
  if (!(model in models)) throw new Error(`--model: expected ${Object.keys(models).join(" or ")}, got ${model}`);
  if (dtype !== undefined && dtype !== "f32" && dtype !== "f16")
    throw new Error(`--dtype: expected f32 or f16, got ${dtype}`);
  const features = without.split(",").filter(Boolean);
  withheldFeatures(features); // throws for those that it does not know
  const count = (name: "runs" | "seconds"): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name}: expected an integer, got ${values[name]}`);
    return value;
  };
  const all: readonly Measure[] = ["cases", "further", "models", "kernels"];
  const asked = values as Readonly<Record<string, unknown>>;
  return {
    job: {
      measures: full ? all : measures.filter((name) => asked[name] === true),
      model: model as keyof typeof models,
      ...(dtype ? { dtype } : {}),
      without: features,
      runs: count("runs"),
      seconds: count("seconds"),
      ...(only ? { only } : {}),
      errors: !values["no-errors"],
    },
    out,
    ...(json ? { json } : {}),
    ...(compare ? { compare: [before!, after!] } : {}),
  };
}
