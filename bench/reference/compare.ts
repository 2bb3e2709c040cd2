// Runs the models that full.py made, and compares with what the reference made of them:
//   node scripts/run.mjs bench/reference/compare.ts --from OUT [--only sd15,kl-f8] [--dtype f32|f16] [--out bench/results]
// A machine without the development tools runs a bundle (`--bundle FILE.mjs`) in a folder that holds weights/tokenizers.
// Fails where a limit is missed.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openDevice } from "../../src/cli/dawn.js";
import { invariant } from "../../src/core/invariant.js";
import { type Difference, difference } from "./difference.js";
import { type DType, expected, runModel } from "./models.js";
import { type Facts, StoredReference } from "./stored.js";

/** One result of one model in one type. */
interface Row extends Difference {
  readonly model: string;
  readonly dtype: DType;
  readonly result: string;
  /** The reference's own result in f16 beside its own in f32; absent where it did not run in f16, and of f32. */
  readonly reference16?: Pick<Difference, "relative" | "psnr">;
  /** Whether the limit is met; absent where there is none. */
  readonly met?: boolean;
}

interface Told {
  readonly model: string;
  readonly dtype: DType;
  readonly seconds: number;
  readonly facts: Facts;
}

const limits = { f32: 60, f16: 35 } as const;
const leastSpread = 0.05;

/** Results in pixels, or what a first stage makes of pixels: they have a limit. */
const judged = ["image", "decoded", "moments"];

const { values: options } = parseArgs({
  options: {
    from: { type: "string" },
    only: { type: "string" },
    dtype: { type: "string" },
    out: { type: "string", default: "bench/results" },
  },
});
const { from, only, dtype, out } = options;
invariant(from !== undefined && existsSync(from), `--from: expected the folder that full.py wrote, got ${from}`);
invariant(dtype === undefined || dtype === "f32" || dtype === "f16", `--dtype: expected f32 or f16, got ${dtype}`);

const device = await openDevice();
const dtypes: readonly DType[] = dtype ? [dtype] : device.features.f16 ? ["f32", "f16"] : ["f32"];
invariant(!dtypes.includes("f16") || device.features.f16, `--dtype: ${device.adapterName} has no f16`);
const found = readdirSync(from).filter((name) => existsSync(join(from, name, "reference.json")));
const names = only?.split(",") ?? found.sort();
for (const name of names) invariant(found.includes(name), `${from}: has ${found.join(", ")}, not ${name}`);
invariant(names.length > 0, `${from}: holds no model with a reference.json`);

console.log(`${device.adapterName}, against ${from}`);
const rows: Row[] = [];
const runs: Told[] = [];
for (const name of names) {
  const stored = await StoredReference.open(join(from, name));
  for (const type of dtypes) {
    const started = performance.now();
    const results = await runModel(device, type, stored);
    const seconds = (performance.now() - started) / 1000;
    runs.push({ model: name, dtype: type, seconds, facts: stored.facts });
    console.log(`${name}, ${type}: ${seconds.toFixed(1)} s`);
    for (const [result, values] of results) {
      if (!stored.has(`float32.${result}`)) continue; // a context that was given
      const row = await rowOf(stored, type, result, values);
      rows.push(row);
      console.log(`  ${show(row)}`);
    }
  }
}
device.dispose();

const { scale } = runs[0]!.facts;
const file = `reference-${scale}-${device.adapterName}-${dtype ?? "both"}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");
mkdirSync(out, { recursive: true });
const path = join(out, `${file.slice(0, 80)}.json`);
const date = new Date().toISOString().slice(0, 10);
writeFileSync(
  path,
  `${JSON.stringify({ date, adapter: device.adapterName, limits, leastSpread, rows, runs }, null, 2)}\n`,
);
console.log(path);
const missed = rows.filter(({ met }) => met === false).map((row) => `${row.model} ${row.dtype} ${row.result}`);
console.log(missed.length > 0 ? `limits missed: ${missed.join("; ")}` : "every limit is met");
process.exit(missed.length > 0 ? 1 : 0); // Dawn's threads would keep the process alive

async function rowOf(stored: StoredReference, type: DType, result: string, values: Float32Array): Promise<Row> {
  const exact = await expected(stored, result);
  const found = difference(values, exact.values);
  const has16 = type === "f16" && stored.has(`float16.${result}`);
  const own = has16 ? difference((await expected(stored, result, "float16")).values, exact.values) : undefined;
  const near = found.psnr >= limits[type] || (own !== undefined && found.psnr >= own.psnr);
  return {
    model: stored.facts.model,
    dtype: type,
    result,
    ...found,
    ...(own ? { reference16: { relative: own.relative, psnr: own.psnr } } : {}),
    ...(judged.includes(result) ? { met: near && found.spread > leastSpread } : {}),
  };
}

function show({ result, relative, largest, psnr, spread, reference16, met }: Row): string {
  return [
    result.padEnd(14),
    `relative error ${relative.toExponential(2)} (largest ${largest.toExponential(2)})`,
    `PSNR ${psnr.toFixed(1).padStart(6)} dB`,
    `std/peak ${(100 * spread).toFixed(1)}%`,
    ...(reference16
      ? [`reference's f16 ${reference16.relative.toExponential(2)}, ${reference16.psnr.toFixed(1)} dB`]
      : []),
    ...(met === undefined ? [] : [met ? "met" : "MISSED"]),
  ].join("  ");
}
