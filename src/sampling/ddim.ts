import { invariant } from "../core/invariant.js";
import type { SamplerStep, Walk } from "./path.js";
import { cumulativeAlphas, linspace, roundHalfEven, type SchedulerConfig } from "./schedule.js";

/** One step of a sampler: the timestep the model is asked at, and the signal shares before and after. */
export interface DdimStep {
  readonly timestep: number;
  /** Cumulative alpha at the timestep. */
  readonly alpha: number;
  /** Cumulative alpha that the step arrives at. */
  readonly alphaPrev: number;
  /** Standard deviation of the noise added; 0 for eta 0. */
  readonly sigma: number;
}

/**
 * The timesteps that DDIM visits, in order, with the coefficients of each step: the convention of diffusers'
 * DDIMScheduler (spacing, steps_offset, set_alpha_to_one from the configuration).
 * @param eta 0 deterministic, 1 as noisy as DDPM (Song et al. 2021, eq. 16)
 */
export function ddimSteps(config: SchedulerConfig, steps: number, eta = 0): DdimStep[] {
  const { trainSteps } = config;
  invariant(
    Number.isInteger(steps) && steps >= 1 && steps <= trainSteps,
    `steps: expected 1 to ${trainSteps}, got ${steps}`,
  );
  const alphas = cumulativeAlphas(config);
  const stride = Math.floor(trainSteps / steps);
  return timesteps(config, steps).map((timestep) => {
    const alpha = alphas[timestep];
    invariant(
      alpha !== undefined,
      `steps: ${steps} steps visit timestep ${timestep}, training ended at ${trainSteps - 1}`,
    );
    const previous = timestep - stride;
    const alphaPrev = previous >= 0 ? alphas[previous]! : config.alphaOne ? 1 : alphas[0]!;
    return { timestep, alpha, alphaPrev, sigma: sigmaOf(alpha, alphaPrev, eta) };
  });
}

/** Timesteps in falling order. */
export function timesteps({ spacing, stepsOffset, trainSteps }: SchedulerConfig, steps: number): number[] {
  switch (spacing) {
    case "leading": {
      const stride = Math.floor(trainSteps / steps);
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * stride + stepsOffset);
    }
    case "trailing": {
      const stride = trainSteps / steps;
      return Array.from({ length: steps }, (_, i) => roundHalfEven(trainSteps - i * stride) - 1);
    }
    case "linspace":
      return linspace(0, trainSteps - 1, steps)
        .map(roundHalfEven)
        .reverse();
  }
}

/** Timesteps of the original code in rising order: "uniform" may give more than asked for, "quad" may repeat some. */
export function compvisTimesteps(method: "uniform" | "quad", steps: number, trainSteps = 1000): number[] {
  if (method === "uniform") {
    const stride = Math.floor(trainSteps / steps);
    return Array.from({ length: Math.ceil(trainSteps / stride) }, (_, i) => i * stride + 1);
  }
  return linspace(0, Math.sqrt(trainSteps * 0.8), steps).map((root) => Math.floor(root * root) + 1);
}

/** Steps of the original code's DDIM over given timesteps (rising order): the last step arrives at timestep 0. */
export function compvisDdimSteps(alphas: readonly number[], rising: readonly number[], eta = 0): DdimStep[] {
  return rising
    .map((timestep, i) => {
      const alpha = alphas[timestep];
      invariant(alpha !== undefined, `steps: timestep ${timestep} is beyond the ${alphas.length} of training`);
      const alphaPrev = i === 0 ? alphas[0]! : alphas[rising[i - 1]!]!;
      return { timestep, alpha, alphaPrev, sigma: sigmaOf(alpha, alphaPrev, eta) };
    })
    .reverse();
}

/** The numbers a step hands to the device, laid out as shaders/lib/ddim.wgsl says. */
export function stepScalars(
  { timestep, alpha, alphaPrev, sigma }: DdimStep,
  guidance: number,
): Float32Array<ArrayBuffer> {
  const scalars = new Float32Array(16);
  const direction = Math.sqrt(Math.max(0, 1 - alphaPrev - sigma * sigma));
  scalars.set([timestep, Math.sqrt(alpha), Math.sqrt(1 - alpha), Math.sqrt(alphaPrev), direction, sigma, guidance]);
  return scalars;
}

const sigmaOf = (alpha: number, alphaPrev: number, eta: number): number =>
  eta === 0 ? 0 : eta * Math.sqrt(Math.max(0, ((1 - alphaPrev) / (1 - alpha)) * (1 - alpha / alphaPrev)));

/** A step of DDIM as a combination (Song et al. 2021, eq. 12). */
function asUpdate({ timestep, alpha, alphaPrev, sigma }: DdimStep, eta: number): SamplerStep {
  const direction = Math.sqrt(Math.max(0, 1 - alphaPrev - sigma * sigma));
  return {
    timestep,
    signal: Math.sqrt(alpha),
    noise: Math.sqrt(1 - alpha),
    update: [[0, Math.sqrt(alphaPrev), direction, sigma]],
    draws: eta > 0,
  };
}

/** DDIM in the convention of diffusers, from step number `begin` on. */
export function ddimWalk(config: SchedulerConfig, steps: number, begin: number, eta: number): Walk {
  const all = ddimSteps(config, steps, eta).map((step) => asUpdate(step, eta));
  return { steps: all.slice(begin), registers: 0 };
}

/** DDIM of the original code over timesteps in rising order. */
export function compvisDdimWalk(alphas: readonly number[], rising: readonly number[], eta: number): Walk {
  return { steps: compvisDdimSteps(alphas, rising, eta).map((step) => asUpdate(step, eta)), registers: 0 };
}
