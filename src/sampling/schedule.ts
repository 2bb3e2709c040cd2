import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";

/** The forward process: how the variance grows with the timestep, and how a sampler walks back. */
export interface SchedulerConfig {
  /** The class that the file names, such as DDIMScheduler. */
  readonly name: string;
  /** Timesteps of training. */
  readonly trainSteps: number;
  readonly betaSchedule: BetaSchedule;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly trainedBetas?: readonly number[];
  readonly rescaleZeroSnr: boolean;
  readonly prediction: "epsilon" | "v_prediction" | "sample";
  readonly spacing: "leading" | "trailing" | "linspace";
  readonly stepsOffset: number;
  /** The alpha before the first timestep is 1, else that of timestep 0. */
  readonly alphaOne: boolean;
  /** Range to clip the predicted clean latent to; latents are not clipped. */
  readonly clipRange?: number;
  readonly thresholding?: { readonly ratio: number; readonly max: number };
}

/** Names as diffusers gives them: `scaled_linear` is "linear" in the original code. */
export const betaSchedules = ["linear", "scaled_linear", "squaredcos_cap_v2"] as const;
export type BetaSchedule = (typeof betaSchedules)[number];

/** Reads `scheduler_config.json`; absent fields take the defaults of the reference's DDIMScheduler. */
export function parseSchedulerConfig(json: unknown, file = "scheduler/scheduler_config.json"): SchedulerConfig {
  const f = new Fields(json, file);
  const name = String(f.raw("_class_name") ?? "DDIMScheduler");
  const ddim = name === "DDIMScheduler"; // other classes have no such fields, and no such defaults
  const trained = f.raw("trained_betas");
  const thresholding = f.boolean("thresholding", false);
  const clip = f.boolean("clip_sample", ddim);
  return {
    name,
    trainSteps: f.count("num_train_timesteps", 1000),
    betaSchedule: f.oneOf("beta_schedule", betaSchedules, "linear"),
    betaStart: f.number("beta_start", 0.0001),
    betaEnd: f.number("beta_end", 0.02),
    ...(Array.isArray(trained) ? { trainedBetas: trained.map(Number) } : {}),
    rescaleZeroSnr: f.boolean("rescale_betas_zero_snr", false),
    prediction: f.oneOf("prediction_type", ["epsilon", "v_prediction", "sample"], "epsilon"),
    spacing: f.oneOf("timestep_spacing", ["leading", "trailing", "linspace"], "leading"),
    stepsOffset: f.number("steps_offset", 0),
    alphaOne: f.boolean("set_alpha_to_one", ddim),
    ...(clip && !thresholding ? { clipRange: f.number("clip_sample_range", 1) } : {}),
    ...(thresholding
      ? { thresholding: { ratio: f.number("dynamic_thresholding_ratio", 0.995), max: f.number("sample_max_value", 1) } }
      : {}),
  };
}

/** n numbers from a to b, both included exactly, rounded as NumPy rounds them. */
export const linspace = (a: number, b: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => (i === 0 ? a : i === n - 1 ? b : a + i * ((b - a) / (n - 1))));

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

/** The cumulative alphas of a configuration. */
export function cumulativeAlphas(config: SchedulerConfig): number[] {
  invariant(config.trainSteps > 0, "scheduler: no training timesteps");
  const alphas = cumulativeProducts(betas(config));
  return config.rescaleZeroSnr ? rescaleToZeroSnr(alphas) : alphas;
}
