import { UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { compvisDdimSteps, compvisTimesteps } from "../../sampling/ddim.js";
import { type BetaSchedule, betas, cumulativeProducts } from "../../sampling/schedule.js";
import type { Case } from "./case.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import { limits, samplerLimit } from "./limits.js";
import { floorOf } from "./ops.js";
import { listIn } from "./pythonJson.js";
import { list } from "./samplers.js";
import { closedForm, runTrajectory } from "./trajectory.js";
import { item } from "./values.js";

/** The original code's names of beta schedules in the terms of diffusers. */
const schedules: Readonly<Record<string, BetaSchedule>> = {
  linear: "scaled_linear",
  cosine: "squaredcos_cap_v2",
  sqrt_linear: "linear",
};

function betasOf(name: string, trainSteps: number, betaStart: number, betaEnd: number): number[] {
  const betaSchedule = schedules[name];
  if (!betaSchedule) throw new UnsupportedError(`the beta schedule ${name} is not supported yet`);
  return betas({ betaSchedule, trainSteps, betaStart, betaEnd });
}

/** `compvis.json`: runs of the original code's samplers. */
export function compvisCases(path: string, json: unknown, prefix: string): Case[] {
  return listIn(json, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const id = String(f.raw("id") ?? i);
    return { name: `${prefix}/${id}`, kind: "sampler", run: (lab) => runCompvis(id, f, path, lab) };
  });
}

async function runCompvis(id: string, entry: Fields, path: string, lab: Parameters<Case["run"]>[0]): Promise<Check[]> {
  const sampler = String(entry.raw("sampler"));
  const net = new Fields(entry.raw("net") ?? {}, `net of ${id}`);
  if (sampler !== "ddim") throw new UnsupportedError(`the sampler "${sampler}" is not supported yet`);
  const parametrization = String(net.raw("param") ?? "eps");
  if (parametrization !== "eps") throw new UnsupportedError(`a model of ${parametrization} is not supported yet`);
  const trainSteps = net.count("T", 1000);
  const variances = betasOf(
    String(net.raw("sched") ?? "linear"),
    trainSteps,
    net.number("ls", 0.00085),
    net.number("le", 0.012),
  );
  const rising = compvisTimesteps(
    entry.oneOf("discretize", ["uniform", "quad"], "uniform"),
    entry.count("steps"),
    trainSteps,
  );
  const eta = entry.number("eta", 0);
  const steps = compvisDdimSteps(cumulativeProducts(variances), rising, eta);
  const file = await GoldenFile.open(path.replace(/\.json$/, ".safetensors"));
  const expected = await file.values(`${id}.x`);
  const conditions = entry.raw("cond_values") as [number, number] | undefined;
  const guidance = entry.number("guidance_scale", 1);
  const [conditional, unconditional] = conditions ?? [0, 0];
  const actual = await runTrajectory(lab, {
    start: item(expected, 0),
    steps,
    models: guidance === 1 ? [closedForm(conditional)] : [closedForm(unconditional), closedForm(conditional)],
    guidance,
    ...(entry.boolean("uses_noise", false) ? { noise: await file.values(`${id}.noise`) } : {}),
  });
  const stored = (name: string) => list(entry.raw(name) as number[]);
  const ours = (read: (step: (typeof steps)[number]) => number) => list(steps.map(read).reverse());
  const floats = (name: string, read: (step: (typeof steps)[number]) => number) =>
    entry.raw(name) ? compareFloats(name, ours(read), stored(name), limits.sampler, lab.precision) : [];
  return [
    ...(entry.raw("timesteps") ? [compareExactly("timesteps", list(rising), stored("timesteps"))] : []),
    ...floats("alphas", (step) => step.alpha),
    ...floats("alphas_prev", (step) => step.alphaPrev),
    ...floats("sigmas", (step) => step.sigma),
    ...compareFloats("x", actual, expected, samplerLimit(floorOf(entry)), lab.precision),
  ];
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
    const variances = betasOf(name ?? short, all.length, all[0]!, all.at(-1)!);
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
