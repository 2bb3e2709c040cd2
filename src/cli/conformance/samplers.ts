import { dirname, join } from "node:path";
import { UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { ddimSteps, timesteps } from "../../sampling/ddim.js";
import { cumulativeAlphas, parseSchedulerConfig } from "../../sampling/schedule.js";
import type { Case } from "./case.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import { limits, samplerLimit } from "./limits.js";
import { floorOf } from "./ops.js";
import { listIn } from "./pythonJson.js";
import { closedForm, runTrajectory } from "./trajectory.js";
import { item, type Values } from "./values.js";

/** Integers as a tensor of one axis. */
export const list = (data: readonly number[]): Values => ({ shape: [data.length], data });

const padded = (i: number): string => String(i).padStart(3, "0");

function onlyDdim(scheduler: string): void {
  if (scheduler !== "DDIMScheduler") throw new UnsupportedError(`${scheduler} is not supported yet`);
}

/** `diffusers.json`: runs of diffusers' schedulers. */
export function diffusersCases(path: string, json: unknown, prefix: string): Case[] {
  return listIn(json, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const id = String(f.raw("id") ?? padded(i));
    return { name: `${prefix}/${id}`, kind: "sampler", run: (lab) => runDiffusers(id, f, path, lab) };
  });
}

async function runDiffusers(
  id: string,
  entry: Fields,
  path: string,
  lab: Parameters<Case["run"]>[0],
): Promise<Check[]> {
  const scheduler = String(entry.raw("scheduler"));
  onlyDdim(scheduler);
  const config = parseSchedulerConfig(
    { ...(entry.raw("config") as object), _class_name: scheduler },
    `config of ${id}`,
  );
  const kwargs = new Fields(entry.raw("step_kwargs") ?? {}, `step_kwargs of ${id}`);
  const eta = kwargs.number("eta", 0);
  const steps = ddimSteps(config, entry.count("num_inference_steps"), eta);
  const file = await GoldenFile.open(path.replace(/\.json$/, ".safetensors"));
  const expected = await file.values(`${id}.x`);
  const { prediction, clipRange, thresholding } = config;
  const start = await file.values(`${id}.x_init`);
  const sigma = entry.number("init_noise_sigma", 1);
  const actual = await runTrajectory(lab, {
    start: { shape: start.shape, data: Array.from(start.data, (x) => x * sigma) },
    steps,
    models: [closedForm()],
    ...(eta > 0 ? { noise: await file.values(`${id}.noise`) } : {}),
    options: {
      prediction,
      ...(clipRange === undefined ? {} : { clipRange }),
      ...(thresholding ? { thresholding } : {}),
      useClippedModelOutput: kwargs.boolean("use_clipped_model_output", false),
    },
  });
  const limit = samplerLimit(floorOf(entry));
  const inputs = {
    shape: [steps.length, ...start.shape],
    data: Array.prototype.slice.call(actual.data, 0, steps.length * start.data.length),
  };
  return [
    compareExactly("timesteps", list(steps.map((step) => step.timestep)), await file.values(`${id}.timesteps`)),
    ...compareFloats("x", actual, expected, limit, lab.precision),
    ...(file.has(`${id}.model_input`)
      ? compareFloats("model_input", inputs, await file.values(`${id}.model_input`), limit, lab.precision)
      : []),
  ];
}

/** `schedules.json`: the timesteps of many step counts. */
export function scheduleCases(path: string, json: unknown, prefix: string): Case[] {
  const { base_config: base, entries } = (json ?? {}) as { base_config?: object; entries?: unknown };
  return listIn(entries, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const scheduler = String(f.raw("scheduler"));
    return {
      name: `${prefix}/${padded(i)}.${scheduler}`,
      kind: "schedule",
      run: async () => {
        onlyDdim(scheduler);
        const config = { ...base, ...(f.raw("config") as object), _class_name: scheduler };
        const actual = timesteps(parseSchedulerConfig(config, `${path} entry ${i}`), f.count("steps"));
        return [compareExactly("timesteps", list(actual), list(f.raw("timesteps") as number[]))];
      },
    };
  });
}

/** `betas.json`: variances, their products, and what noise and velocity follow from these. */
export function betasCases(path: string, json: unknown, prefix: string): Case[] {
  return listIn(json, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const id = String(f.raw("id") ?? i);
    return { name: `${prefix}/${id}`, kind: "betas", run: (lab) => runBetas(id, f, dirname(path), lab) };
  });
}

async function runBetas(id: string, entry: Fields, folder: string, lab: Parameters<Case["run"]>[0]): Promise<Check[]> {
  const config = parseSchedulerConfig(entry.raw("config"), `config of ${id}`);
  const file = await GoldenFile.open(join(folder, "betas.safetensors"));
  const alphas = cumulativeAlphas(config);
  const betas = alphas.map((alpha, i) => 1 - alpha / (i === 0 ? 1 : alphas[i - 1]!));
  const [t, x0, eps] = (await Promise.all(["t", "x0", "eps"].map((name) => file.values(`${id}.${name}`)))) as [
    Values,
    Values,
    Values,
  ];
  const mixed = (mix: (signal: number, noise: number, x: number, e: number) => number): Values => {
    const data = Array.from(t.data, (timestep, n) => {
      const alpha = alphas[timestep]!;
      const [x, e] = [item(x0, n).data, item(eps, n).data];
      return Array.from(x, (value, i) => mix(Math.sqrt(alpha), Math.sqrt(1 - alpha), value, e[i]!));
    });
    return { shape: x0.shape, data: data.flat() };
  };
  const results = {
    betas: list(betas),
    alphas_cumprod: list(alphas),
    add_noise: mixed((signal, noise, x, e) => signal * x + noise * e),
    velocity: mixed((signal, noise, x, e) => signal * e - noise * x),
  };
  const checks: Check[] = [];
  for (const [name, actual] of Object.entries(results)) {
    checks.push(...compareFloats(name, actual, await file.values(`${id}.${name}`), limits.betas, lab.precision));
  }
  return checks;
}
