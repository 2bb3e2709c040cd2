import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";

/** The forward process: how the variance grows with the timestep, and how a sampler walks back. */
export interface SchedulerConfig {
  /** The class that the file names, such as DDIMScheduler. */
  readonly name: string;
  /** Whose rules the samplers follow: those of diffusers, or of the original code (CompVis). */
  readonly convention: "diffusers" | "compvis";
  /** How the original code picks timesteps. */
  readonly discretize: "uniform" | "quad";
  /** Timesteps of training. */
  readonly trainSteps: number;
  /** How the variance grows. */
  readonly betaSchedule: BetaSchedule;
  /** Variance of the first timestep. */
  readonly betaStart: number;
  /** Variance of the last timestep. */
  readonly betaEnd: number;
  /** All variances, in place of the three fields before. */
  readonly trainedBetas?: readonly number[];
  /** The last timestep is brought to pure noise (Lin et al. 2023, 3.1). */
  readonly rescaleZeroSnr: boolean;
  /** What the denoiser predicts. */
  readonly prediction: "epsilon" | "v_prediction" | "sample";
  /** How diffusers spreads timesteps. */
  readonly spacing: "leading" | "trailing" | "linspace";
  /** Added to timesteps of `leading` spacing. */
  readonly stepsOffset: number;
  /** The alpha before the first timestep is 1, else that of timestep 0. */
  readonly alphaOne: boolean;
  /** Range to clip the predicted clean latent to; latents are not clipped. */
  readonly clipRange?: number;
  /** Dynamic thresholding (Saharia et al. 2022, 2.3): quantile of |x0|, and the largest threshold. */
  readonly thresholding?: { readonly ratio: number; readonly max: number };
  /** DDPM: variance of the noise that a step adds. */
  readonly variance: Variance;
  /** PNDM: no Runge-Kutta warm-up. */
  readonly skipWarmUp: boolean;
  /** DPM-Solver. */
  readonly solver: SolverConfig;
  /** The fields as the file gives them; another class reads them with its own defaults. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What DPM-Solver alone reads. */
export interface SolverConfig {
  /** 1 to 3. */
  readonly order: number;
  /** "++": integrates the clean latent, else the noise; "sde": adds noise. */
  readonly algorithm: "dpmsolver" | "dpmsolver++" | "sde-dpmsolver" | "sde-dpmsolver++";
  /** Form of second order. */
  readonly type: "midpoint" | "heun";
  /** The last steps fall back to lower orders where steps are few. */
  readonly lowerOrderFinal: boolean;
  /** The last step is of first order. */
  readonly eulerAtFinal: boolean;
  /** How noise levels are spaced; undefined: by timesteps. */
  readonly sigmas?: "karras" | "exponential" | "lu";
  /** The noise level at the end: none, or that of timestep 0. */
  readonly finalSigma: "zero" | "sigma_min";
  /** Timesteps with a smaller log(signal / noise) are left out. */
  readonly smallestLambda: number;
}

const variances = [
  "fixed_small",
  "fixed_small_log",
  "fixed_large",
  "fixed_large_log",
  "learned",
  "learned_range",
] as const;
/** Variance of the noise that a step of DDPM adds, by the names of diffusers. */
export type Variance = (typeof variances)[number];

/** Names as diffusers gives them: `scaled_linear` is "linear" in the original code, and "linear" its `sqrt_linear`. */
export const betaSchedules = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "sqrt"] as const;
/** How the variance of the forward process grows with the timestep. */
export type BetaSchedule = (typeof betaSchedules)[number];

export const samplerNames = ["ddim", "ddpm", "pndm", "plms", "dpm++"] as const;
/** DDIM, ancestral DDPM, PNDM, PLMS of the original code, multistep DPM-Solver and DPM-Solver++. */
export type SamplerName = (typeof samplerNames)[number];

const classes: Readonly<Record<SamplerName, string>> = {
  ddim: "DDIMScheduler",
  ddpm: "DDPMScheduler",
  pndm: "PNDMScheduler",
  plms: "PNDMScheduler",
  "dpm++": "DPMSolverMultistepScheduler",
};

/** The sampler that a configuration's class names; undefined for classes that are not among ours. */
export const samplerOf = ({ name }: Pick<SchedulerConfig, "name">): SamplerName | undefined =>
  samplerNames.find((sampler) => classes[sampler] === name);

/** Reads `scheduler_config.json`; absent fields take the defaults of the class it names (DDIMScheduler if none). */
export function parseSchedulerConfig(json: unknown, file = "scheduler/scheduler_config.json"): SchedulerConfig {
  const f = new Fields(json, file);
  const name = String(f.raw("_class_name") ?? classes.ddim);
  const convention = f.oneOf("convention", ["diffusers", "compvis"], "diffusers");
  const sampler = samplerOf({ name });
  const trained = f.raw("trained_betas");
  // A class without such a field ignores what a file converted from another class says; unknown classes run as DDIM.
  const clips = sampler !== "pndm" && sampler !== "dpm++";
  const clip = clips && f.boolean("clip_sample", sampler !== undefined && convention === "diffusers");
  const thresholding = sampler !== "pndm" && f.boolean("thresholding", false);
  return {
    name,
    convention,
    discretize: f.oneOf("discretize", ["uniform", "quad"], "uniform"),
    trainSteps: f.count("num_train_timesteps", 1000),
    betaSchedule: f.oneOf("beta_schedule", betaSchedules, "linear"),
    betaStart: f.number("beta_start", 0.0001),
    betaEnd: f.number("beta_end", 0.02),
    ...(Array.isArray(trained) ? { trainedBetas: trained.map(Number) } : {}),
    rescaleZeroSnr: sampler !== "pndm" && f.boolean("rescale_betas_zero_snr", false),
    prediction: f.oneOf("prediction_type", ["epsilon", "v_prediction", "sample"], "epsilon"),
    spacing: f.oneOf(
      "timestep_spacing",
      ["leading", "trailing", "linspace"],
      sampler === "dpm++" ? "linspace" : "leading",
    ),
    stepsOffset: f.number("steps_offset", 0),
    alphaOne: f.boolean("set_alpha_to_one", sampler !== "pndm"),
    ...(clip && !thresholding ? { clipRange: f.number("clip_sample_range", 1) } : {}),
    ...(thresholding
      ? { thresholding: { ratio: f.number("dynamic_thresholding_ratio", 0.995), max: f.number("sample_max_value", 1) } }
      : {}),
    variance: f.oneOf("variance_type", variances, "fixed_small"),
    skipWarmUp: f.boolean("skip_prk_steps", false),
    solver: parseSolver(f, sampler === "dpm++"),
    fields: json as Readonly<Record<string, unknown>>,
  };
}

function parseSolver(f: Fields, asked: boolean): SolverConfig {
  // Other solvers of the family name forms that the reference replaces when it reads their files.
  const algorithms = ["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++", "deis"] as const;
  const algorithm = f.oneOf("algorithm_type", algorithms, "dpmsolver++");
  const type = f.oneOf("solver_type", ["midpoint", "heun", "logrho", "bh1", "bh2"], "midpoint");
  const spacings = ["karras", "exponential", "lu"] as const;
  const fields = { karras: "use_karras_sigmas", exponential: "use_exponential_sigmas", lu: "use_lu_lambdas" } as const;
  const sigmas = spacings.find((spacing) => f.boolean(fields[spacing], false));
  for (const field of asked ? ["use_beta_sigmas", "use_flow_sigmas"] : []) {
    if (f.boolean(field, false)) throw new UnsupportedError(`${f.file}: ${field} is not supported`);
  }
  const order = f.count("solver_order", 2);
  invariant(order <= 3, `${f.file}: solver_order is ${order}, expected 1, 2 or 3`);
  return {
    order,
    algorithm: algorithm === "deis" ? "dpmsolver++" : algorithm,
    type: type === "heun" ? "heun" : "midpoint",
    lowerOrderFinal: f.boolean("lower_order_final", true),
    eulerAtFinal: f.boolean("euler_at_final", false),
    ...(sigmas ? { sigmas } : {}),
    finalSigma: f.oneOf("final_sigmas_type", ["zero", "sigma_min"], "zero"),
    smallestLambda: f.number("lambda_min_clipped", Number.NEGATIVE_INFINITY),
  };
}

/**
 * The configuration with which a sampler other than that of the file's class runs: the same fields, and that class's
 * defaults for those the file lacks. What a model clips or thresholds follows from it as well.
 */
export function schedulerFor(config: SchedulerConfig, sampler: SamplerName): SchedulerConfig {
  const own = samplerOf(config) ?? "ddim";
  const read =
    classes[own] === classes[sampler]
      ? config
      : parseSchedulerConfig({ ...config.fields, _class_name: classes[sampler] });
  return sampler === "plms" ? { ...read, skipWarmUp: true } : read;
}

/** n numbers from a to b, both included exactly, rounded as NumPy rounds them. */
export const linspace = (a: number, b: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => (i === 0 ? a : i === n - 1 ? b : a + i * ((b - a) / (n - 1))));

/** To the nearest integer, halves to the even one, as NumPy rounds. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The variances added at each timestep of training, in float64. */
export function betas(
  config: Pick<SchedulerConfig, "trainSteps" | "betaSchedule" | "betaStart" | "betaEnd" | "trainedBetas">,
): number[] {
  const { trainSteps: n, betaSchedule, betaStart, betaEnd, trainedBetas } = config;
  if (trainedBetas) return [...trainedBetas];
  switch (betaSchedule) {
    case "linear":
      return linspace(betaStart, betaEnd, n);
    case "scaled_linear":
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), n).map((root) => root * root);
    case "sqrt":
      return linspace(betaStart, betaEnd, n).map(Math.sqrt);
    case "sigmoid":
      return linspace(-6, 6, n).map((x) => betaStart + (betaEnd - betaStart) / (1 + Math.exp(-x)));
    case "squaredcos_cap_v2": {
      const bar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
      return Array.from({ length: n }, (_, i) => Math.min(1 - bar((i + 1) / n) / bar(i / n), 0.999));
    }
    default:
      throw new UnsupportedError(`beta schedule ${betaSchedule satisfies never} is not supported`);
  }
}

/** Products of 1 - beta up to each timestep: the share of the signal's variance that is left. */
export function cumulativeProducts(values: readonly number[]): number[] {
  let product = 1;
  return values.map((beta) => {
    product *= 1 - beta;
    return product;
  });
}

/**
 * Shifts and scales the square roots so that the last timestep holds no signal at all (Lin et al. 2023, algorithm 1).
 */
export function rescaleToZeroSnr(alphas: readonly number[]): number[] {
  const roots = alphas.map(Math.sqrt);
  const first = roots[0]!;
  const last = roots.at(-1)!;
  return roots.map((root) => ((root - last) * (first / (first - last))) ** 2);
}

/** The cumulative alphas of a configuration; the original code keeps them in float32. */
export function cumulativeAlphas(config: SchedulerConfig): number[] {
  invariant(config.trainSteps > 0, "scheduler: no training timesteps");
  const alphas = cumulativeProducts(betas(config));
  const scaled = config.rescaleZeroSnr ? rescaleToZeroSnr(alphas) : alphas;
  return config.convention === "compvis" ? scaled.map(Math.fround) : scaled;
}
