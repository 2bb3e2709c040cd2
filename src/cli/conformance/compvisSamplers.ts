import { UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { type SamplerName, type SamplerStep, samplerPath } from "../../sampling/sampler.js";
import { type BetaSchedule, betas, cumulativeProducts, parseSchedulerConfig } from "../../sampling/schedule.js";
import { compvisTimesteps } from "../../sampling/timesteps.js";
import type { Case } from "./case.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import { limits, samplerLimit } from "./limits.js";
import { floorOf } from "./ops.js";
import { listIn } from "./pythonJson.js";
import { list } from "./samplers.js";
import { blend, closedForm, runTrajectory } from "./trajectory.js";
import { channelsFirst, channelsLast, item, stack, type Values } from "./values.js";

/** The original code's names of beta schedules in the terms of diffusers. */
const schedules: Readonly<Record<string, BetaSchedule>> = {
  linear: "scaled_linear",
  cosine: "squaredcos_cap_v2",
  sqrt_linear: "linear",
  sqrt: "sqrt",
};

function scheduleOf(name: string): BetaSchedule {
  const schedule = schedules[name];
  if (!schedule) throw new UnsupportedError(`the beta schedule ${name} is not supported yet`);
  return schedule;
}

/** `compvis.json`: runs of the original code's samplers. */
export function compvisCases(path: string, json: unknown, prefix: string): Case[] {
  return listIn(json, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const id = String(f.raw("id") ?? i);
    return { name: `${prefix}/${id}`, kind: "sampler", run: (lab) => runCompvis(id, f, path, lab) };
  });
}

/** How a case's description of its sampler begins, and which of ours it means. */
const samplers: Readonly<Record<string, SamplerName>> = {
  plms: "plms",
  ddpm: "ddpm",
  dpm_solver: "dpm++",
  ddim: "ddim",
};

async function runCompvis(id: string, entry: Fields, path: string, lab: Parameters<Case["run"]>[0]): Promise<Check[]> {
  const described = String(entry.raw("sampler"));
  const sampler = samplers[described.split(" ")[0]!];
  if (!sampler) throw new UnsupportedError(`the sampler "${described}" is not supported yet`);
  const net = new Fields(entry.raw("net") ?? {}, `net of ${id}`);
  const config = parseSchedulerConfig(
    {
      convention: "compvis",
      discretize: entry.raw("discretize"),
      num_train_timesteps: net.raw("T"),
      beta_schedule: scheduleOf(String(net.raw("sched") ?? "linear")),
      beta_start: net.number("ls", 0.00085),
      beta_end: net.number("le", 0.012),
      prediction_type: net.oneOf("param", ["eps", "x0"], "eps") === "x0" ? "sample" : "epsilon",
      clip_sample: entry.boolean("clip_denoised", false),
    },
    `net of ${id}`,
  );
  const steps = entry.count("steps");
  // The description of the one image-to-image case names the grid point it begins at.
  const point = /t_enc=(\d+)/.exec(described)?.[1];
  const file = await GoldenFile.open(path.replace(/\.json$/, ".safetensors"));
  const expected = await file.values(`${id}.x`);
  const walked = samplerPath(config, {
    sampler,
    steps,
    eta: entry.number("eta", 0),
    ...(point ? { strength: Number(point) / steps } : {}),
  });
  const { prediction, clipRange } = config;
  const conditions = entry.raw("cond_values") as [number, number] | undefined;
  const guidance = entry.number("guidance_scale", 1);
  const [conditional, unconditional] = conditions ?? [0, 0];
  const noises = file.has(`${id}.noise`) ? await file.values(`${id}.noise`) : undefined;
  const masked = file.has(`${id}.mask`) ? await maskedBlend(id, file, walked.steps, noises!, lab) : undefined;
  const first = item(expected, 0);
  const start = point ? await noised(lab, first, item(noises!, 0), walked.start) : first;
  const seen = await runTrajectory(lab, {
    start,
    path: walked,
    models: guidance === 1 ? [closedForm(conditional)] : [closedForm(unconditional), closedForm(conditional)],
    guidance,
    ...(walked.draws && noises ? { noise: noises } : {}),
    ...(masked ? { before: masked } : {}),
    options: { prediction, ...(clipRange === undefined ? {} : { clipRange }) },
  });
  // Trial points are no points of the path; some cases store the last one only.
  const points = seen.filter((_, i) => !walked.steps[i]?.trial);
  const all = point ? [first, ...points] : points;
  const kept = point ? [first, start, points.at(-1)!] : [first, points.at(-1)!];
  const actual = expected.shape[0] === all.length ? all : kept;
  return [
    ...gridChecks(entry, sampler, walked.steps, lab),
    ...compareFloats("x", stack(actual), expected, samplerLimit(floorOf(entry)), lab.precision),
  ];
}

/** What the case states of the timesteps and their levels, in rising order. */
function gridChecks(
  entry: Fields,
  sampler: SamplerName,
  walked: readonly SamplerStep[],
  lab: Parameters<Case["run"]>[0],
): Check[] {
  const rising = walked.filter((step) => !step.trial).reverse();
  const stored = (name: string) => list(entry.raw(name) as number[]);
  const floats = (name: string, read: (step: SamplerStep, row: readonly number[]) => number) =>
    entry.raw(name)
      ? compareFloats(
          name,
          list(rising.map((step) => read(step, step.update[0]!))),
          stored(name),
          limits.sampler,
          lab.precision,
        )
      : [];
  return [
    ...(entry.raw("timesteps")
      ? [compareExactly("timesteps", list(rising.map((step) => step.timestep)), stored("timesteps"))]
      : []),
    ...floats("alphas", ({ signal }) => signal ** 2),
    // DDIM weighs the clean latent by the root of what it arrives at; PLMS weighs x by the root of the two's ratio.
    ...floats("alphas_prev", ({ signal }, [x, clean]) => (sampler === "plms" ? x! * signal : clean!) ** 2),
    ...floats("sigmas", (_, row) => row[3]!),
  ];
}

/** A latent [N, C, H, W] noised to a level. */
async function noised(
  lab: Parameters<Case["run"]>[0],
  clean: Values,
  noise: Values,
  level: { readonly signal: number; readonly noise: number },
): Promise<Values> {
  const [n, , h, w] = clean.shape as [number, number, number, number];
  const mask = { shape: [n, h, w, 1], data: new Float32Array(n * h * w) };
  const last = { x: channelsLast(clean), clean: channelsLast(clean), mask, noise: channelsLast(noise) };
  return channelsFirst(await blend(lab, last, level));
}

/** Masked sampling as the original code does it: before each step, the kept part comes noised to that step's level. */
async function maskedBlend(
  id: string,
  file: GoldenFile,
  walked: readonly SamplerStep[],
  noises: Values,
  lab: Parameters<Case["run"]>[0],
) {
  const clean = channelsLast(await file.values(`${id}.x0`));
  const keep = channelsLast(await file.values(`${id}.mask`));
  // There a mask of 1 keeps the reference, here it keeps x.
  const mask = { shape: keep.shape, data: Array.from(keep.data, (value) => 1 - value) };
  return async (x: Values, i: number): Promise<Values> => {
    const noise = channelsLast(item(noises, i));
    return channelsFirst(await blend(lab, { x: channelsLast(x), clean, mask, noise }, walked[i]!));
  };
}

/** `compvis_timesteps.json`: the timesteps of many step counts. */
export function compvisTimestepCases(path: string, json: unknown, prefix: string): Case[] {
  return listIn(json, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const method = String(f.raw("discretize"));
    return {
      name: `${prefix}/${method}-${f.raw("steps")}`,
      kind: "schedule",
      run: async () => {
        if (method !== "uniform" && method !== "quad")
          throw new UnsupportedError(`"${method}" timesteps are not supported yet`);
        return [
          compareExactly(
            "timesteps",
            list(compvisTimesteps(method, f.count("steps"))),
            list(f.raw("timesteps") as number[]),
          ),
        ];
      },
    };
  });
}

/** `compvis_betas.safetensors`: beta schedules in float64; where they begin and end is read from them. */
export async function compvisBetasCases(path: string, prefix: string): Promise<Case[]> {
  const run = (stem: string) => async (lab: Parameters<Case["run"]>[0]) => {
    const opened = await GoldenFile.open(path);
    const expected = await opened.values(`${stem}.betas`);
    const all = Array.from(expected.data);
    const short = stem.replace(/^f64\./, "");
    const name = Object.keys(schedules)
      .sort((a, b) => b.length - a.length)
      .find((key) => short === key || short.startsWith(`${key}_`));
    const betaSchedule = scheduleOf(name ?? short);
    const power = betaSchedule === "sqrt" ? 2 : 1; // its parameters are the squares of where it begins and ends
    const [betaStart, betaEnd] = [all[0]! ** power, all.at(-1)! ** power];
    const variances = betas({ betaSchedule, trainSteps: all.length, betaStart, betaEnd });
    return [
      ...compareFloats("betas", list(variances), expected, limits.betas, lab.precision),
      ...compareFloats(
        "alphas_cumprod",
        list(cumulativeProducts(variances)),
        await opened.values(`${stem}.alphas_cumprod`),
        limits.betas,
        lab.precision,
      ),
    ];
  };
  try {
    const file = await GoldenFile.open(path);
    const stems = [...file.tensors.keys()]
      .filter((name) => name.endsWith(".betas"))
      .map((name) => name.slice(0, -".betas".length));
    return stems.map((stem) => ({ name: `${prefix}/${stem}`, kind: "betas", run: run(stem) }));
  } catch (error) {
    return [{ name: prefix, kind: "betas", run: async () => Promise.reject(error) }];
  }
}
