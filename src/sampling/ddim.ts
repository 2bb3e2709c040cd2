import { invariant } from "../core/invariant.js";
import type { SamplerStep, Walk } from "./path.js";
import { cumulativeAlphas, type SchedulerConfig } from "./schedule.js";
import { timesteps } from "./timesteps.js";

/**
 * DDIM in the convention of diffusers' DDIMScheduler (spacing, steps_offset, set_alpha_to_one from the configuration),
 * from step number `begin` on: each step reaches back by the same stride, whatever the next one's timestep.
 */
export function ddimWalk(config: SchedulerConfig, steps: number, begin: number, eta: number): Walk {
  const alphas = cumulativeAlphas(config);
  const stride = Math.floor(config.trainSteps / steps);
  const all = timesteps(config, steps).map((timestep) => {
    const alpha = alphas[timestep];
    invariant(
      alpha !== undefined,
      `steps: ${steps} steps visit timestep ${timestep}, training ended at ${config.trainSteps - 1}`,
    );
    const previous = timestep - stride;
    const alphaPrev = previous >= 0 ? alphas[previous]! : config.alphaOne ? 1 : alphas[0]!;
    return ddimStep(timestep, alpha, alphaPrev, eta);
  });
  return { steps: all.slice(begin), registers: 0 };
}

/** DDIM of the original code over given timesteps in rising order: the last step arrives at timestep 0. */
export function compvisDdimWalk(alphas: readonly number[], rising: readonly number[], eta: number): Walk {
  const steps = rising
    .map((timestep, i) => {
      const alpha = alphas[timestep];
      invariant(alpha !== undefined, `steps: timestep ${timestep} is beyond the ${alphas.length} of training`);
      return ddimStep(timestep, alpha, i === 0 ? alphas[0]! : alphas[rising[i - 1]!]!, eta);
    })
    .reverse();
  return { steps, registers: 0 };
}

/** From one share of the signal's variance to another (Song et al. 2021, eq. 12 and 16). */
function ddimStep(timestep: number, alpha: number, alphaPrev: number, eta: number): SamplerStep {
  const sigma = eta === 0 ? 0 : eta * Math.sqrt(Math.max(0, ((1 - alphaPrev) / (1 - alpha)) * (1 - alpha / alphaPrev)));
  const direction = Math.sqrt(Math.max(0, 1 - alphaPrev - sigma * sigma));
  return {
    timestep,
    signal: Math.sqrt(alpha),
    noise: Math.sqrt(1 - alpha),
    update: [[0, Math.sqrt(alphaPrev), direction, sigma]],
    draws: eta > 0,
  };
}
