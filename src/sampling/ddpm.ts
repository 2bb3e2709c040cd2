import { invariant, UnsupportedError } from "../core/invariant.js";
import type { SamplerStep, Walk } from "./path.js";
import { cumulativeAlphas, type SchedulerConfig, type Variance } from "./schedule.js";
import { timesteps } from "./timesteps.js";

/** Ancestral sampling (Ho et al. 2020, eq. 6 and 7) as diffusers' DDPMScheduler spaces it, from step `begin` on. */
export function ddpmWalk(config: SchedulerConfig, steps: number, begin: number): Walk {
  const alphas = cumulativeAlphas(config);
  const visits = timesteps(config, steps);
  const all = visits.map((timestep, i) => {
    const alpha = alphas[timestep];
    invariant(
      alpha !== undefined,
      `steps: ${steps} steps visit timestep ${timestep}, training ended at ${config.trainSteps - 1}`,
    );
    // Unlike DDIM, each step arrives where the next one begins, and the last at the clean latent.
    const next = visits[i + 1];
    return ancestralStep(timestep, alpha, next === undefined ? 1 : alphas[next]!, config.variance);
  });
  return { steps: all.slice(begin), registers: 0 };
}

/** Ancestral sampling of the original code: every timestep of training below `from`. */
export function compvisDdpmWalk(config: SchedulerConfig, from: number): Walk {
  const alphas = cumulativeAlphas(config);
  const steps = Array.from({ length: from }, (_, i) => {
    const timestep = from - 1 - i;
    return ancestralStep(timestep, alphas[timestep]!, timestep > 0 ? alphas[timestep - 1]! : 1, "fixed_small");
  });
  return { steps, registers: 0 };
}

function ancestralStep(timestep: number, alpha: number, alphaPrev: number, variance: Variance): SamplerStep {
  const beta = 1 - alpha / alphaPrev;
  const draws = timestep > 0;
  return {
    timestep,
    signal: Math.sqrt(alpha),
    noise: Math.sqrt(1 - alpha),
    update: [
      [
        (Math.sqrt(1 - beta) * (1 - alphaPrev)) / (1 - alpha),
        (Math.sqrt(alphaPrev) * beta) / (1 - alpha),
        0,
        draws ? deviation(variance, beta, ((1 - alphaPrev) / (1 - alpha)) * beta) : 0,
      ],
    ],
    draws,
  };
}

/** Standard deviation of the added noise: between that of the posterior (small) and of the forward step (large). */
function deviation(variance: Variance, beta: number, posterior: number): number {
  switch (variance) {
    case "fixed_small":
    case "fixed_small_log":
      return Math.sqrt(Math.max(posterior, 1e-20));
    case "fixed_large":
    case "fixed_large_log":
      return Math.sqrt(beta);
    case "learned":
    case "learned_range":
      throw new UnsupportedError(`variance_type ${variance}: models that predict their variance are not supported`);
    default:
      throw new UnsupportedError(`variance_type ${variance satisfies never} is not supported`);
  }
}
