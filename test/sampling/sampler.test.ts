import { describe, expect, it } from "vitest";
import { type SamplerOptions, samplerPath, stepScalars } from "../../src/sampling/sampler.js";
import { cumulativeAlphas, parseSchedulerConfig, schedulerFor } from "../../src/sampling/schedule.js";
import { walk } from "./walk.js";

const stableDiffusion = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear", steps_offset: 1 };
const parse = (fields: Record<string, unknown> = {}) =>
  parseSchedulerConfig({ ...stableDiffusion, set_alpha_to_one: false, clip_sample: false, ...fields });
const dpm = (fields: Record<string, unknown> = {}) => parse({ _class_name: "DPMSolverMultistepScheduler", ...fields });

describe("a single step", () => {
  it.each([
    [0, 0.00577550014, 0.00728172714, 6.59825875, 1.0612257, 0.454463272, 1.00638381],
    [49, 0.998296028, 0.99915, 0.98019587, 0.994356578, 0.0206483202, 0.990070541],
  ])("of DDIM, number %i of 50, x = 1, eps = 0.5", (i, a, aPrev, x0, x, sigma, part) => {
    for (const convention of ["diffusers", "compvis"]) {
      const config = parse({ convention });
      const plain = samplerPath(config, { sampler: "ddim", steps: 50 }).steps[i]!;
      const noisy = samplerPath(config, { sampler: "ddim", steps: 50, eta: 1 }).steps[i]!;
      const clean = (1 - plain.noise * 0.5) / plain.signal;
      const apply = ([, ofClean, ofEps]: readonly number[]) => ofClean! * clean + ofEps! * 0.5;
      const found = [plain.signal ** 2, plain.update[0]![1]! ** 2, clean, apply(plain.update[0]!)];
      for (const [k, value] of [a, aPrev, x0, x].entries()) expect(found[k]! / value).toBeCloseTo(1, 6);
      expect(noisy.update[0]![3]! / sigma).toBeCloseTo(1, 5); // the original code's alphas are float32
      expect(apply(noisy.update[0]!) / part).toBeCloseTo(1, 6);
      expect([plain.draws, noisy.draws]).toEqual([false, true]);
    }
  });

  it("of DDPM at timestep 500", () => {
    for (const convention of ["diffusers", "compvis"]) {
      const config = parse({ convention, steps_offset: 0 });
      const { steps } = samplerPath(config, { sampler: "ddpm", steps: 1000 });
      const [[x, clean, eps, noise]] = steps[499]!.update as [number[]];
      expect(steps[499]!.timestep).toBe(500);
      expect(noise! ** 2 / 0.00480605857).toBeCloseTo(1, 5);
      expect(clean! / 0.00350604433).toBeCloseTo(1, 5);
      expect(x! / 0.995746583).toBeCloseTo(1, 7);
      expect(eps).toBe(0);
      expect(steps.filter((step) => !step.draws).map((step) => step.timestep)).toEqual([0]);
    }
  });
});

/** Paths without noise. */
const exact: readonly [string, ReturnType<typeof parse>, SamplerOptions][] = [
  ["ddim", parse(), { steps: 10 }],
  ["ddim of the original code", parse({ convention: "compvis" }), { sampler: "ddim", steps: 30 }],
  ["ddim, quadratic", parse({ convention: "compvis", discretize: "quad" }), { sampler: "ddim", steps: 9 }],
  ["pndm", parse({ steps_offset: 0 }), { sampler: "pndm", steps: 10 }],
  ["plms", parse(), { sampler: "plms", steps: 10 }],
  ["plms, one step", parse(), { sampler: "plms", steps: 1 }],
  ["plms of the original code", parse({ convention: "compvis" }), { sampler: "plms", steps: 30 }],
  ["dpm++ of the original code", parse({ convention: "compvis" }), { sampler: "dpm++", steps: 9 }],
  ...[1, 2, 3].flatMap((order) =>
    ["dpmsolver", "dpmsolver++"].flatMap((algorithm) =>
      ["midpoint", "heun"].map((type): [string, ReturnType<typeof parse>, SamplerOptions] => [
        `${algorithm} ${order} ${type}`,
        dpm({ solver_order: order, algorithm_type: algorithm, solver_type: type, final_sigmas_type: "sigma_min" }),
        { steps: 17 },
      ]),
    ),
  ),
  ["dpm++ with Karras' levels", dpm({ use_karras_sigmas: true }), { steps: 8 }],
];

it.each(["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"])(
  "%s ends where it is when Karras' levels end on the smallest of training, however their roots are rounded",
  (algorithm_type) => {
    const given = {
      algorithm_type,
      use_karras_sigmas: true,
      final_sigmas_type: "sigma_min",
      beta_start: 1e-4,
      beta_end: 0.02,
    };
    for (const beta_schedule of ["linear", "squaredcos_cap_v2"]) {
      for (const [steps, num_train_timesteps] of [
        [25, 1000],
        [5, 100],
      ] as const) {
        const config = parseSchedulerConfig({ ...dpm({ ...given, beta_schedule }).fields, num_train_timesteps });
        const [row] = samplerPath(config, { steps }).steps.at(-1)!.update;
        expect(row![0]).toBeCloseTo(1, 6);
        for (const weight of row!.slice(1)) expect(weight).toBeCloseTo(0, 4);
      }
    }
  },
);

describe("the exact solution", () => {
  it.each(exact)("of a distribution of one point is what %s walks along", (_, file, options) => {
    // diffusers' PNDM averages the velocities of different levels, which differ even here.
    const averages = file.convention === "diffusers" && /^(pndm|plms)$/.test(options.sampler ?? "");
    for (const prediction of ["epsilon", "v_prediction", "sample"] as const) {
      if (averages && prediction === "v_prediction") continue;
      const config = parseSchedulerConfig({ ...file.fields, prediction_type: prediction });
      const path = samplerPath(config, options);
      const [point, noise] = [0.7, -1.3];
      const model = (x: number, _t: number, { signal: a, noise: b }: { signal: number; noise: number }) => {
        const eps = (x - a * point) / b;
        return { epsilon: eps, v_prediction: a * eps - b * point, sample: point }[prediction];
      };
      const [first] = path.steps;
      const start = first!.signal * point + first!.noise * noise;
      const seen = walk(path, { prediction }, [start], model);
      for (const [i, step] of path.steps.entries()) {
        expect(seen[i]![0]).toBeCloseTo(step.signal * point + step.noise * noise, 6);
      }
      const alpha = cumulativeAlphas(config)[0]!;
      const ends = config.name.startsWith("DPM") && config.solver.finalSigma === "zero" ? 1 : alpha;
      expect(seen.at(-1)![0]).toBeCloseTo(Math.sqrt(ends) * point + Math.sqrt(1 - ends) * noise, 6);
    }
  });
});

describe("the variance of the noise", () => {
  it.each<[string, ReturnType<typeof parse>, SamplerOptions]>([
    ["ddim, eta 1", parse(), { steps: 10, eta: 1 }],
    ["ddim, eta 0.3, of the original code", parse({ convention: "compvis" }), { sampler: "ddim", steps: 10, eta: 0.3 }],
    ["ddpm", parse(), { sampler: "ddpm", steps: 10 }],
    ["ddpm of the original code", parse({ convention: "compvis" }), { sampler: "ddpm", steps: 1000 }],
    ["sde-dpmsolver++", dpm({ algorithm_type: "sde-dpmsolver++", solver_order: 1 }), { steps: 10 }],
  ])("is each level's own: %s", (_, config, options) => {
    const { steps } = samplerPath(config, options);
    for (const [i, { signal, noise, update }] of steps.slice(0, -1).entries()) {
      const [x, clean, eps, fresh] = update[0] as [number, number, number, number];
      const next = steps[i + 1]!;
      expect(x * signal + clean).toBeCloseTo(next.signal, 6);
      expect((x * noise + eps) ** 2 + fresh ** 2).toBeCloseTo(next.noise ** 2, 6);
    }
  });
});

describe("where a path begins", () => {
  it("is pure noise, or a level of its own with a strength", () => {
    for (const sampler of ["ddim", "ddpm", "pndm", "plms", "dpm++"] as const) {
      expect(samplerPath(parse(), { sampler, steps: 10 }).start).toEqual({ signal: 0, noise: 1 });
      for (const strength of [0.35, 1]) {
        const { steps, start } = samplerPath(parse(), { sampler, steps: 10, strength });
        expect(start).toEqual({ signal: steps[0]!.signal, noise: steps[0]!.noise });
      }
    }
  });

  it("in the original code is one point of the grid above the first step", () => {
    const config = parse({ convention: "compvis" });
    const alphas = cumulativeAlphas(config);
    for (const sampler of ["ddim", "plms"] as const) {
      const { steps, start } = samplerPath(config, { sampler, steps: 50, strength: 0.75 });
      expect(steps[0]!.timestep).toBe(721);
      expect(start.signal).toBe(Math.sqrt(alphas[741]!));
      expect(start.noise).toBe(Math.sqrt(1 - alphas[741]!));
      const whole = samplerPath(config, { sampler, steps: 50, strength: 1 });
      expect(whole.start).toEqual({ signal: 0, noise: 1 });
      expect(whole.steps[0]!.timestep).toBe(981);
    }
  });

  it("leaves out a point of the original code's grid that lies beyond training", () => {
    const steps = (count: number) => samplerPath(parse({ convention: "compvis" }), { steps: count }).steps;
    expect(steps(3).map(({ timestep }) => timestep)).toEqual([667, 334, 1]);
    expect(steps(1000)).toHaveLength(999);
  });

  it("marks the second evaluation of PLMS as a trial", () => {
    for (const convention of ["diffusers", "compvis"]) {
      const { steps } = samplerPath(parse({ convention }), { sampler: "plms", steps: 5 });
      expect(steps.map((step) => step.timestep)).toEqual([801, 601, 601, 401, 201, 1]);
      expect(steps.map((step) => step.trial ?? false)).toEqual([false, true, false, false, false, false]);
    }
  });
});

describe("a request that cannot be", () => {
  it.each<[Record<string, unknown>, SamplerOptions, string]>([
    [{}, { steps: 0 }, "steps: expected 1 to 1000, got 0"],
    [{}, { steps: 2.5 }, "steps: expected 1 to 1000, got 2.5"],
    [{}, { steps: 1001 }, "steps: expected 1 to 1000, got 1001"],
    [{}, { steps: 1000 }, "steps: 1000 steps visit timestep 1000, training ended at 999"],
    [{}, { sampler: "ddpm", steps: 1000 }, "steps: 1000 steps visit timestep 1000, training ended at 999"],
    [{}, { sampler: "plms", steps: 1000 }, "steps: 1000 steps visit timestep 1000, training ended at 999"],
    [{}, { sampler: "pndm", steps: 3 }, "steps: pndm with its Runge-Kutta warm-up takes at least 4, got 3"],
    [{ convention: "compvis" }, { sampler: "dpm++", steps: 1 }, "dpm++ of the original code takes at least 2, got 1"],
    [{ convention: "compvis" }, { sampler: "ddpm", steps: 50 }, "visits all 1000 timesteps, got 50"],
    [{}, { sampler: "dpm++", steps: 1000 }, "steps: 1000 are too many for this spacing, timestep"],
    [{}, { sampler: "dpm++", steps: 10, eta: 0.5 }, "eta: expected 0 for dpm++, which takes none, got 0.5"],
    [{}, { steps: 10, eta: -1 }, "eta: expected 0 or more, got -1"],
    [{}, { steps: 10, strength: 0 }, "strength: expected above 0, at most 1, got 0"],
    [{}, { steps: 10, strength: 0.05 }, "strength: 0.05 of 10 steps leaves none"],
    [{ convention: "compvis" }, { steps: 10, strength: 0.05 }, "strength: 0.05 of 10 steps leaves none"],
    [
      { rescale_betas_zero_snr: true, timestep_spacing: "trailing" },
      { steps: 10 },
      "a model that predicts noise cannot begin without any signal",
    ],
    [{ variance_type: "learned_range" }, { sampler: "ddpm", steps: 10 }, "models that predict their variance"],
    [{ variance_type: "learned" }, { sampler: "dpm++", steps: 10 }, "models that predict their variance"],
    [{ algorithm_type: "dpmsolver" }, { sampler: "dpm++", steps: 9 }, "final_sigmas_type: expected sigma_min"],
    [
      { algorithm_type: "sde-dpmsolver", final_sigmas_type: "sigma_min", solver_order: 3 },
      { sampler: "dpm++", steps: 9 },
      "solver_order 3 is not supported for algorithm_type sde-dpmsolver",
    ],
    [{ _class_name: "LCMScheduler" }, { steps: 4 }, "scheduler: LCMScheduler is not supported"],
  ])("%j %j is refused", (fields, options, message) => {
    expect(() => samplerPath(parse(fields), options)).toThrow(message);
  });
});

describe("a step's numbers", () => {
  it("are level, guidance and the rows of the update, at fixed places", () => {
    const config = schedulerFor(parse(), "plms");
    const path = samplerPath(config, { steps: 10 });
    const step = path.steps[5]!;
    const scalars = stepScalars(step, 7.5, 0.7);
    expect(scalars).toHaveLength(64);
    expect([...scalars.slice(0, 8)]).toEqual(
      [step.timestep, step.signal, step.noise, 7.5, 0.7, 0, 0, 0].map(Math.fround),
    );
    for (const [i, row] of step.update.entries()) {
      expect([...scalars.slice(8 + 9 * i, 8 + 9 * i + row.length)]).toEqual(row.map(Math.fround));
    }
  });
});
