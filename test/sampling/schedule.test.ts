import { describe, expect, it } from "vitest";
import { samplerPath } from "../../src/sampling/sampler.js";
import {
  type BetaSchedule,
  betas,
  cumulativeAlphas,
  parseSchedulerConfig,
  roundHalfEven,
  samplerOf,
  schedulerFor,
} from "../../src/sampling/schedule.js";
import { compvisTimesteps } from "../../src/sampling/timesteps.js";

describe("cumulative alphas", () => {
  const at = [0, 1, 21, 201, 401, 500, 601, 801, 961, 981, 999];
  it.each<[string, number, number, number[]]>([
    [
      "Stable Diffusion",
      0.00085,
      0.012,
      [
        0.99915, 0.998296028, 0.980380748, 0.752143402, 0.422881524, 0.276332684, 0.159816437, 0.0365465246,
        0.00728172714, 0.00577550014, 0.00466009851,
      ],
    ],
    [
      "latent diffusion, .0195",
      0.0015,
      0.0195,
      [
        0.9985, 0.996994427, 0.965732029, 0.61244288, 0.232975074, 0.114922001, 0.0465020778, 0.004120078,
        0.000294785618, 0.000201956017, 0.000142303975,
      ],
    ],
    [
      "latent diffusion, .0155",
      0.0015,
      0.0155,
      [
        0.9985, 0.996995602, 0.966003501, 0.632134829, 0.272422966, 0.150070051, 0.0708137922, 0.00984376187,
        0.00119245134, 0.000882853961, 0.000668665174,
      ],
    ],
    [
      "the upscaler's",
      0.0001,
      0.02,
      [
        0.9999, 0.999797362, 0.997138835, 0.886159754, 0.534524568, 0.33127458, 0.165983855, 0.0200162293,
        0.00153923714, 0.00104898745, 0.00073341246,
      ],
    ],
  ])("of %s", (_, start, end, expected) => {
    const json = { beta_start: start, beta_end: end, beta_schedule: "scaled_linear" };
    const alphas = cumulativeAlphas(parseSchedulerConfig(json));
    for (const [i, alpha] of expected.entries()) expect(Math.abs(alphas[at[i]!]! / alpha - 1)).toBeLessThan(5e-9);
    const rounded = cumulativeAlphas(parseSchedulerConfig({ ...json, convention: "compvis" }));
    expect(rounded).toEqual(alphas.map(Math.fround));
  });

  it.each<[BetaSchedule, number, number, number]>([
    ["linear", 0.01, 0.05, 0.09],
    ["scaled_linear", 0.01, 0.04, 0.09],
    ["sqrt", 0.1, Math.sqrt(0.05), 0.3],
    ["sigmoid", 0.01 + 0.08 / (1 + Math.exp(6)), 0.05, 0.01 + 0.08 / (1 + Math.exp(-6))],
  ])("%s betas begin, halve and end where they should", (betaSchedule, ...expected) => {
    const found = betas({ trainSteps: 3, betaSchedule, betaStart: 0.01, betaEnd: 0.09 });
    for (const [i, beta] of expected.entries()) expect(found[i]).toBeCloseTo(beta, 12);
  });

  it("end without any signal when rescaled", () => {
    const alphas = cumulativeAlphas(parseSchedulerConfig({ rescale_betas_zero_snr: true }));
    expect(alphas.at(-1)).toBe(0);
    expect(alphas[0]).toBeCloseTo(0.9999, 12);
    const original = parseSchedulerConfig({ rescale_betas_zero_snr: true, convention: "compvis" });
    expect(cumulativeAlphas(original)).toEqual(alphas.map(Math.fround));
  });
});

describe("timesteps", () => {
  const every = (from: number, stride: number, to: number) =>
    Array.from({ length: (to - from) / stride + 1 }, (_, i) => from + i * stride);

  it.each<[number, number[]]>([
    [4, [1, 251, 501, 751]],
    [5, [1, 201, 401, 601, 801]],
    [20, every(1, 50, 951)],
    [25, every(1, 40, 961)],
    [40, every(1, 25, 976)],
    [50, every(1, 20, 981)],
    [250, every(1, 4, 997)],
    [30, every(1, 33, 991)],
    [60, every(1, 16, 993)],
    [64, every(1, 15, 991)],
    [75, every(1, 13, 989)],
    [150, every(1, 6, 997)],
  ])("of the original code, uniform, %i steps", (steps, expected) => {
    expect(compvisTimesteps("uniform", steps)).toEqual(expected);
  });

  it("of the original code, quadratic", () => {
    expect(compvisTimesteps("quad", 50).join()).toBe(
      "1,1,2,3,6,9,12,17,22,27,34,41,48,57,66,75,86,97,108,121,134,147,162,177,192,209,226,243,262,281,300,321,342,363," +
        "386,409,432,457,482,507,534,561,588,617,646,675,706,737,768,801",
    );
  });

  it.each([
    [30, 958, 925],
    [60, 945, 929],
    [64, 946, 931],
    [75, 963, 950],
    [150, 895, 889],
  ])("of diffusers, leading with an offset, %i steps begin with %i, %i", (steps, first, second) => {
    const path = samplerPath(parseSchedulerConfig({ steps_offset: 1 }), { steps });
    expect(path.steps.slice(0, 2).map((step) => step.timestep)).toEqual([first, second]);
    expect(path.steps).toHaveLength(steps);
  });

  it("round halves to the even number", () => {
    expect([0.5, 1.5, 2.5, 2.4, 2.6, 499.5].map(roundHalfEven)).toEqual([0, 2, 2, 2, 3, 500]);
  });
});

describe("scheduler_config.json", () => {
  it.each([
    ["DDIMScheduler", "ddim"],
    ["DDPMScheduler", "ddpm"],
    ["PNDMScheduler", "pndm"],
    ["DPMSolverMultistepScheduler", "dpm++"],
    ["EulerDiscreteScheduler", undefined],
  ])("of %s selects %s", (name, sampler) => {
    expect(samplerOf(parseSchedulerConfig({ _class_name: name }))).toBe(sampler);
  });

  it("takes the defaults of its class", () => {
    const parse = (name: string) => parseSchedulerConfig({ _class_name: name });
    const read = ["DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler", "Other"].map(parse);
    expect(read.map((config) => config.clipRange)).toEqual([1, 1, undefined, undefined, undefined]);
    expect(read.map((config) => config.alphaOne)).toEqual([true, true, false, true, true]);
    expect(read.map((config) => config.spacing)).toEqual(["leading", "leading", "leading", "linspace", "leading"]);
    expect(read[3]!.solver).toEqual({
      order: 2,
      algorithm: "dpmsolver++",
      type: "midpoint",
      lowerOrderFinal: true,
      eulerAtFinal: false,
      finalSigma: "zero",
      smallestLambda: Number.NEGATIVE_INFINITY,
    });
    expect(parseSchedulerConfig({ convention: "compvis" }).clipRange).toBeUndefined();
  });

  it("is read with another class's defaults for another sampler", () => {
    const file = parseSchedulerConfig({
      _class_name: "PNDMScheduler",
      steps_offset: 1,
      beta_end: 0.012,
      clip_sample: false,
      thresholding: true,
    });
    expect(file.thresholding).toBeUndefined();
    const dpm = schedulerFor(file, "dpm++");
    expect(dpm).toMatchObject({ spacing: "linspace", stepsOffset: 1, betaEnd: 0.012 });
    expect(dpm.thresholding).toEqual({ ratio: 0.995, max: 1 });
    expect(schedulerFor(file, "ddim")).toMatchObject({ alphaOne: true, stepsOffset: 1 });
    expect(schedulerFor(file, "plms").skipWarmUp).toBe(true);
    expect(schedulerFor(file, "pndm")).toBe(file);
  });

  it("of an unknown class runs as DDIM without that class's defaults", () => {
    const file = parseSchedulerConfig({ _class_name: "EulerDiscreteScheduler" });
    expect(schedulerFor(file, "ddim")).toBe(file);
    // As DDIMScheduler.from_config reads such a file: the last step arrives at the clean latent.
    const last = samplerPath(file, { sampler: "ddim", steps: 4 }).steps.at(-1)!;
    expect(last.update[0]!.slice(1, 3)).toEqual([1, 0]);
    expect(schedulerFor(file, "ddpm").clipRange).toBe(1);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ solver_order: 4 }, "solver_order is 4, expected 1, 2 or 3"],
    [{ use_flow_sigmas: true }, "use_flow_sigmas is not supported"],
    [{ use_beta_sigmas: true }, "use_beta_sigmas is not supported"],
    [{ algorithm_type: "euler" }, 'algorithm_type is "euler", expected dpmsolver'],
    [{ convention: "k" }, 'convention is "k", expected diffusers, compvis'],
    [{ discretize: "cubic" }, 'discretize is "cubic", expected uniform, quad'],
  ])("refuses %j", (fields, message) => {
    const json = { _class_name: "DPMSolverMultistepScheduler", ...fields };
    expect(() => parseSchedulerConfig(json)).toThrow(message);
  });
});
