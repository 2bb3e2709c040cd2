import { dirname, join } from "node:path";
import { UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { samplerOf, samplerPath } from "../../sampling/sampler.js";
import { cumulativeAlphas, parseSchedulerConfig, type SchedulerConfig } from "../../sampling/schedule.js";
import type { Case } from "./case.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import { limits, samplerLimit } from "./limits.js";
import { floorOf } from "./ops.js";
import { listIn } from "./pythonJson.js";
import { closedForm, runTrajectory } from "./trajectory.js";
import { item, stack, type Values } from "./values.js";

/** Integers as a tensor of one axis. */
export const list = (data: readonly number[]): Values => ({ shape: [data.length], data });

const padded = (i: number): string => String(i).padStart(3, "0");

/** The configuration of a case, where its scheduler is one of ours. */
function configOf(scheduler: string, fields: object, where: string): SchedulerConfig {
  if (!samplerOf({ name: scheduler })) throw new UnsupportedError(`${scheduler} is not supported yet`);
  return parseSchedulerConfig({ ...fields, _class_name: scheduler }, where);
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
  golden: string,
  lab: Parameters<Case["run"]>[0],
): Promise<Check[]> {
  const config = configOf(String(entry.raw("scheduler")), entry.raw("config") as object, `config of ${id}`);
  const kwargs = new Fields(entry.raw("step_kwargs") ?? {}, `step_kwargs of ${id}`);
  const path = samplerPath(config, { steps: entry.count("num_inference_steps"), eta: kwargs.number("eta", 0) });
  const { steps } = path;
  const file = await GoldenFile.open(golden.replace(/\.json$/, ".safetensors"));
  const { prediction, clipRange, thresholding } = config;
  const start = await file.values(`${id}.x_init`);
  const sigma = entry.number("init_noise_sigma", 1);
  const seen = await runTrajectory(lab, {
    start: { shape: start.shape, data: Array.from(start.data, (x) => x * sigma) },
    path,
    models: [closedForm()],
    ...(path.draws ? { noise: await file.values(`${id}.noise`) } : {}),
    options: {
      prediction,
      ...(clipRange === undefined ? {} : { clipRange }),
      ...(thresholding ? { thresholding } : {}),
      useClippedModelOutput: kwargs.boolean("use_clipped_model_output", false),
    },
  });
  const limit = samplerLimit(floorOf(entry));
  const asked = list(steps.map((step) => step.timestep));
  const stored = async (name: string, values: Values) =>
    file.has(`${id}.${name}`)
      ? compareFloats(name, values, await file.values(`${id}.${name}`), limit, lab.precision)
      : [];
  return [
    compareExactly("timesteps", asked, list(entry.raw("timesteps") as number[])),
    compareExactly("n_noise", list([steps.filter((step) => step.draws).length]), list([entry.number("n_noise", 0)])),
    ...compareFloats("x", stack(seen), await file.values(`${id}.x`), limit, lab.precision),
    ...(await stored("model_input", stack(seen.slice(0, -1)))),
  ];
}

/** `schedules.json`: the timesteps and noise levels of many step counts. */
export function scheduleCases(path: string, json: unknown, prefix: string): Case[] {
  const { base_config: base, entries } = (json ?? {}) as { base_config?: object; entries?: unknown };
  return listIn(entries, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const scheduler = String(f.raw("scheduler"));
    return {
      name: `${prefix}/${padded(i)}.${scheduler}`,
      kind: "schedule",
      run: async (lab) => {
        const config = configOf(scheduler, { ...base, ...(f.raw("config") as object) }, `${path} entry ${i}`);
        const { steps } = samplerPath(config, { steps: f.count("steps") });
        const sigmas = f.raw("sigmas") as number[] | undefined;
        const ours = list(steps.map(({ signal, noise }) => noise / signal));
        return [
          compareExactly("timesteps", list(steps.map((step) => step.timestep)), list(f.raw("timesteps") as number[])),
          // The last level is where the path ends, which no evaluation sees.
          ...(sigmas ? compareFloats("sigmas", ours, list(sigmas.slice(0, -1)), limits.betas, lab.precision) : []),
        ];
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
