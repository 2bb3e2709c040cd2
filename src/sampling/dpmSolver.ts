import { invariant, UnsupportedError } from "../core/invariant.js";
import { type Combination, column, columns, type SamplerStep, sum, type Walk } from "./path.js";
import { cumulativeAlphas, linspace, roundHalfEven, type SchedulerConfig, type SolverConfig } from "./schedule.js";

/** A noise level on the way, and what the denoiser is asked at there. */
interface Level {
  readonly timestep: number;
  readonly signal: number;
  readonly noise: number;
}

/**
 * Multistep DPM-Solver and DPM-Solver++ (Lu et al. 2022a, 2022b) as diffusers' DPMSolverMultistepScheduler runs them,
 * from step `begin` on.
 */
export function dpmSolverWalk(config: SchedulerConfig, steps: number, begin: number): Walk {
  const { solver, variance } = config;
  const { order, algorithm, finalSigma, lowerOrderFinal, eulerAtFinal } = solver;
  const known = algorithm.endsWith("++") || finalSigma === "sigma_min";
  invariant(known, `final_sigmas_type: expected sigma_min for algorithm_type ${algorithm}, got ${finalSigma}`);
  if (variance.startsWith("learned")) {
    throw new UnsupportedError(`variance_type ${variance}: models that predict their variance are not supported`);
  }
  if (algorithm === "sde-dpmsolver" && order === 3) {
    throw new UnsupportedError("solver_order 3 is not supported for algorithm_type sde-dpmsolver");
  }
  const levels = dpmLevels(config, steps);
  const last = levels.length - 2;
  const few = lowerOrderFinal && last + 1 < 15;
  const orders = levels.slice(begin, -1).map((_, i) => {
    const step = begin + i;
    const euler = step === last && (eulerAtFinal || few || finalSigma === "zero");
    const most = euler ? 1 : step === last - 1 && few ? 2 : 3;
    return Math.min(order, i + 1, most);
  });
  return solverWalk(levels.slice(begin), orders, solver, config.thresholding !== undefined);
}

/** DPM-Solver++ of the original code: order 2, uniform in time, log alpha linear between timesteps. From `begin` on. */
export function compvisDpmSolverWalk(config: SchedulerConfig, steps: number, begin: number): Walk {
  invariant(steps >= 2, `steps: dpm++ of the original code takes at least 2, got ${steps}`);
  const logs = cumulativeAlphas(config).map((alpha) => Math.log(alpha) / 2);
  const n = logs.length;
  const levels = linspace(1, 1 / n, steps + 1).map((time): Level => {
    const position = time * n - 1;
    const low = Math.min(Math.max(Math.floor(position), 0), n - 2);
    const log = logs[low]! + (position - low) * (logs[low + 1]! - logs[low]!);
    return { timestep: (time - 1 / n) * 1000, signal: Math.exp(log), noise: Math.sqrt(-Math.expm1(2 * log)) };
  });
  const rest = levels.slice(begin);
  const count = rest.length - 1;
  const orders = Array.from({ length: count }, (_, i) => (i === 0 || (i === count - 1 && count < 15) ? 1 : 2));
  return solverWalk(rest, orders, { order: 2, algorithm: "dpmsolver++", type: "midpoint" }, false);
}

/** One step between each two levels. Registers: the earlier predictions, newest first. */
function solverWalk(
  levels: readonly Level[],
  orders: readonly number[],
  solver: Pick<SolverConfig, "order" | "algorithm" | "type">,
  thresholded: boolean,
): Walk {
  const registers = solver.order - 1;
  const unit = (index: number) => column(registers, index);
  const x = unit(columns.x);
  const clean = unit(columns.x0);
  const earlier = Array.from({ length: registers }, (_, i) => unit(columns.registers + i));
  const steps = orders.map((order, i): SamplerStep => {
    const { timestep, signal, noise } = levels[i]!;
    // Where x0 was changed by a threshold, the noise is derived anew from it.
    const eps = thresholded ? sum([1 / noise, x], [-signal / noise, clean]) : unit(columns.eps);
    const prediction = solver.algorithm.endsWith("++") ? clean : eps;
    const before = order > 2 ? [levels[i - 1]!, levels[i - 2]!] : order > 1 ? [levels[i - 1]!] : [];
    const weights = solverWeights(solver, levels[i + 1]!, levels[i]!, before);
    const difference = differences([prediction, ...earlier], weights.steps);
    const next = sum(
      [weights.x, x],
      [weights.prediction, prediction],
      ...difference.map((d, k) => [weights.differences[k]!, d] as const),
      [weights.noise, unit(columns.noise)],
    );
    return {
      timestep,
      signal,
      noise,
      update: [next, ...[prediction, ...earlier].slice(0, registers)],
      draws: solver.algorithm.startsWith("sde"),
    };
  });
  return { steps, registers };
}

/**
 * The first and second derivative of the prediction along lambda, times h and h squared: from predictions at distances
 * of `steps` [h, h of the step before, h of the one before that].
 */
function differences(predictions: readonly Combination[], [h, h0, h1]: readonly number[]): Combination[] {
  if (h === undefined || h0 === undefined) return [];
  const [m0, m1, m2] = predictions as [Combination, Combination, Combination];
  const first = sum([h / h0, m0], [-h / h0, m1]);
  if (h1 === undefined) return [first];
  const change = sum([1, first], [-h / h1, m1], [h / h1, m2]);
  return [sum([1, first], [h0 / (h0 + h1), change]), sum([h / (h0 + h1), change])];
}

interface Weights {
  readonly x: number;
  readonly prediction: number;
  /** Of the derivatives that the order uses. */
  readonly differences: readonly number[];
  readonly noise: number;
  /** Lengths of this step and of those before it in lambda, as many as the order uses. */
  readonly steps: readonly number[];
}

const lambda = ({ signal, noise }: Level): number => Math.log(signal) - Math.log(noise);

/** What the step to a level weighs its terms by; `before` holds the levels of the earlier predictions in use. */
function solverWeights(
  { algorithm, type }: Pick<SolverConfig, "algorithm" | "type">,
  to: Level,
  from: Level,
  before: readonly Level[],
): Weights {
  const lambdas = [to, from, ...before].map(lambda);
  const length = (h: number): number => (Math.abs(h) < 1e-9 ? 0 : h); // of levels that are equal but for rounding
  const steps = lambdas.slice(1).map((value, i) => length(lambdas[i]! - value));
  const h = steps[0]!;
  const order = before.length + 1;
  // [integral of the exponential, with lambda, with its square] along the step, as the algorithm scales them.
  const terms = (): [number, number, number] => {
    switch (algorithm) {
      case "dpmsolver++": {
        const e = Math.expm1(-h);
        return [-e * to.signal, (e / h + 1) * to.signal, -((e + h) / h ** 2 - 0.5) * to.signal];
      }
      case "dpmsolver": {
        const e = Math.expm1(h);
        return [-e * to.noise, -(e / h - 1) * to.noise, -((e - h) / h ** 2 - 0.5) * to.noise];
      }
      case "sde-dpmsolver++": {
        const e = -Math.expm1(-2 * h);
        const k = 2 * h;
        return [e * to.signal, (1 - e / k) * to.signal, ((e - k) / k ** 2 - 0.5) * to.signal];
      }
      case "sde-dpmsolver": {
        const e = Math.expm1(h);
        return [-2 * e * to.noise, -2 * (e / h - 1) * to.noise, 0];
      }
    }
  };
  const [zeroth, first, second] = terms();
  const noise = {
    "dpmsolver++": 0,
    dpmsolver: 0,
    "sde-dpmsolver++": to.noise * Math.sqrt(-Math.expm1(-2 * h)),
    // sigma * sqrt(exp(2h) - 1), which stays finite as it is written here
    "sde-dpmsolver": to.noise * Math.sqrt(Math.expm1(2 * h)),
  }[algorithm];
  const taylor = order === 2 && type === "midpoint" ? [zeroth / 2] : [first, second].slice(0, order - 1);
  return {
    x: {
      "dpmsolver++": to.noise / from.noise,
      dpmsolver: to.signal / from.signal,
      "sde-dpmsolver++": (to.noise / from.noise) * Math.exp(-h),
      "sde-dpmsolver": to.signal / from.signal,
    }[algorithm],
    prediction: zeroth,
    // A step of no length changes nothing (Karras' levels end on the smallest of training).
    differences: taylor.map((weight) => (h === 0 ? 0 : weight)),
    noise,
    steps: steps.slice(0, order),
  };
}

/** The levels that diffusers' scheduler visits, and the one it ends on. */
function dpmLevels(config: SchedulerConfig, steps: number): Level[] {
  const { trainSteps, solver } = config;
  const alphas = cumulativeAlphas(config);
  if (config.rescaleZeroSnr) alphas[trainSteps - 1] = 2 ** -24; // the reference avoids an infinite level
  const sigmas = alphas.map((alpha) => Math.sqrt((1 - alpha) / alpha));
  const visited = solver.sigmas
    ? spacedSigmas(solver.sigmas, sigmas, steps).map((sigma) => {
        const timestep = timestepOf(sigma, sigmas);
        const rounds = solver.sigmas !== "exponential" && config.betaSchedule !== "squaredcos_cap_v2";
        return { timestep: rounds ? roundHalfEven(timestep) : Math.trunc(timestep), sigma };
      })
    : dpmTimesteps(config, sigmas, steps).map((timestep) => {
        const sigma = sigmas[timestep];
        const message = () => `steps: ${steps} steps visit timestep ${timestep}, training ended at ${trainSteps - 1}`;
        invariant(sigma !== undefined, message);
        return { timestep, sigma };
      });
  const end = { timestep: 0, sigma: solver.finalSigma === "zero" ? 0 : sigmas[0]! };
  return [...visited, end].map(({ timestep, sigma }) => {
    const signal = 1 / Math.sqrt(sigma ** 2 + 1);
    return { timestep, signal, noise: sigma * signal };
  });
}

function dpmTimesteps(config: SchedulerConfig, sigmas: readonly number[], steps: number): number[] {
  const { trainSteps, spacing, stepsOffset, solver } = config;
  // Levels whose lambda, the negative log of sigma, is below the bound are the last ones of training.
  const end = sigmas.filter((sigma) => -Math.log(sigma) >= solver.smallestLambda).length;
  switch (spacing) {
    case "linspace":
      return linspace(0, end - 1, steps + 1)
        .map(roundHalfEven)
        .reverse()
        .slice(0, -1);
    case "leading": {
      const stride = Math.floor(end / (steps + 1));
      return Array.from({ length: steps }, (_, i) => (steps - i) * stride + stepsOffset);
    }
    case "trailing": {
      const stride = trainSteps / steps;
      const count = Math.ceil((end / trainSteps) * steps - 1e-9);
      return Array.from({ length: count }, (_, i) => roundHalfEven(end - i * stride) - 1);
    }
  }
}

/** Noise levels between the largest and the smallest of training, by their own rule instead of by timesteps. */
function spacedSigmas(spacing: NonNullable<SolverConfig["sigmas"]>, sigmas: readonly number[], n: number): number[] {
  const [smallest, largest] = [sigmas[0]!, sigmas.at(-1)!];
  if (spacing === "karras") {
    const rho = 7; // Karras et al. 2022, eq. 5
    return ramp(largest ** (1 / rho), smallest ** (1 / rho), n).map((root) => root ** rho);
  }
  return ramp(Math.log(largest), Math.log(smallest), n).map(Math.exp);
}

const ramp = (a: number, b: number, n: number): number[] => linspace(0, 1, n).map((part) => a + part * (b - a));

/** Where a level lies between the timesteps of training, linear in its logarithm. */
function timestepOf(sigma: number, sigmas: readonly number[]): number {
  const log = Math.log(Math.max(sigma, 1e-10));
  const logs = sigmas.map(Math.log);
  const low = Math.min(Math.max(logs.filter((value) => value <= log).length - 1, 0), logs.length - 2);
  const part = (log - logs[low]!) / (logs[low + 1]! - logs[low]!);
  return low + Math.min(Math.max(part, 0), 1);
}
