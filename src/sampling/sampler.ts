import { invariant, UnsupportedError } from "../core/invariant.js";
import { maxRegisters, scalarCount, scalarRows, scalarStride } from "../core/stepScalars.js";
import { compvisDdimWalk, ddimWalk } from "./ddim.js";
import { compvisDdpmWalk, ddpmWalk } from "./ddpm.js";
import { compvisDpmSolverWalk, dpmSolverWalk } from "./dpmSolver.js";
import type { SamplerPath, SamplerStep, Walk } from "./path.js";
import { compvisPlmsWalk, pndmWalk } from "./pndm.js";
import { cumulativeAlphas, type SamplerName, type SchedulerConfig, samplerOf, schedulerFor } from "./schedule.js";
import { compvisTimesteps } from "./timesteps.js";

export type { SamplerPath, SamplerStep } from "./path.js";
export { type SamplerName, samplerNames, samplerOf, schedulerFor } from "./schedule.js";

/** How a sampler walks. */
export interface SamplerOptions {
  /** The sampler of the configuration's class when absent. */
  readonly sampler?: SamplerName;
  /** From 1 to the timesteps of training; some samplers evaluate the denoiser more often than that. */
  readonly steps: number;
  /** DDIM: 0 deterministic, 1 as noisy as DDPM (Song et al. 2021, eq. 16). */
  readonly eta?: number;
  /** Image-to-image: the share of the way that is walked, above 0 to 1. Absent: from pure noise. */
  readonly strength?: number;
}

/** Every evaluation of a sampler with the coefficients of its update. */
export function samplerPath(config: SchedulerConfig, options: SamplerOptions): SamplerPath {
  const { sampler = samplerOf(config), steps, eta = 0, strength } = options;
  if (!sampler) throw new UnsupportedError(`scheduler: ${config.name} is not supported`);
  const { trainSteps } = config;
  const whole = Number.isInteger(steps) && steps >= 1 && steps <= trainSteps;
  invariant(whole, `steps: expected 1 to ${trainSteps}, got ${steps}`);
  invariant(eta >= 0, `eta: expected 0 or more, got ${eta}`);
  invariant(eta === 0 || sampler === "ddim", `eta: expected 0 for ${sampler}, which takes none, got ${eta}`);
  invariant(
    strength === undefined || (strength > 0 && strength <= 1),
    `strength: expected above 0, at most 1, got ${strength}`,
  );
  const own = schedulerFor(config, sampler);
  const found =
    own.convention === "compvis"
      ? compvisWalk(own, sampler, steps, eta, strength)
      : diffusersWalk(own, sampler, steps, eta, strength);
  check(found, own, steps, strength);
  return { ...found, draws: found.steps.some((step) => step.draws) };
}

type Found = Walk & Pick<SamplerPath, "start">;

const pureNoise = { signal: 0, noise: 1 };
const levelOf = ({ signal, noise }: SamplerStep) => ({ signal, noise });

/** Image-to-image leaves steps out at the start, and noises the picture to the level of the first one that is left. */
function diffusersWalk(
  config: SchedulerConfig,
  sampler: SamplerName,
  steps: number,
  eta: number,
  strength: number | undefined,
): Found {
  const begin = strength === undefined ? 0 : steps - Math.floor(steps * strength);
  const walk = {
    ddim: () => ddimWalk(config, steps, begin, eta),
    ddpm: () => ddpmWalk(config, steps, begin),
    pndm: () => pndmWalk(config, steps, begin),
    plms: () => pndmWalk(config, steps, begin),
    "dpm++": () => dpmSolverWalk(config, steps, begin),
  }[sampler]();
  const [first] = walk.steps;
  return { ...walk, start: strength === undefined || !first ? pureNoise : levelOf(first) };
}

/**
 * The original code's image-to-image: strength picks a point of the grid of timesteps; the picture is noised to that
 * point's level, and the walk begins one point below it. From the whole strength it begins with pure noise.
 */
function compvisWalk(
  config: SchedulerConfig,
  sampler: SamplerName,
  steps: number,
  eta: number,
  strength: number | undefined,
): Found {
  const part = Math.floor(steps * (strength ?? 1));
  if (sampler === "dpm++" || sampler === "ddpm") {
    // The original scripts know image-to-image with the grid of DDIM alone: here the first step's own level.
    const every = sampler === "dpm++" || steps === config.trainSteps;
    invariant(
      every,
      `steps: ddpm of the original code visits all ${config.trainSteps} timesteps, got ${steps}; ddim with eta 1 visits fewer`,
    );
    const walk =
      sampler === "dpm++" ? compvisDpmSolverWalk(config, steps, steps - part) : compvisDdpmWalk(config, part);
    const [first] = walk.steps;
    return { ...walk, start: strength === undefined || !first ? pureNoise : levelOf(first) };
  }
  const alphas = cumulativeAlphas(config);
  // For some counts of steps, 3 or 36 of 1000, the grid ends beyond training, where the original code fails.
  const grid = compvisTimesteps(config.discretize, steps, config.trainSteps).filter((t) => t < config.trainSteps);
  const above = strength === undefined ? undefined : alphas[grid[part] ?? -1];
  const rising = above === undefined ? grid : grid.slice(0, part);
  return {
    ...(sampler === "ddim" ? compvisDdimWalk(alphas, rising, eta) : compvisPlmsWalk(alphas, rising)),
    start: above === undefined ? pureNoise : { signal: Math.sqrt(above), noise: Math.sqrt(1 - above) },
  };
}

function check({ steps: found, registers }: Walk, config: SchedulerConfig, steps: number, strength?: number): void {
  invariant(found.length > 0, `strength: ${strength} of ${steps} steps leaves none`);
  invariant(registers <= maxRegisters, `sampler: ${registers} registers`);
  for (const { timestep, signal, update } of found) {
    const within = timestep >= 0 && timestep <= config.trainSteps - 1;
    invariant(within, `steps: ${steps} steps visit timestep ${timestep}, training ended at ${config.trainSteps - 1}`);
    invariant(
      signal > 0 || config.prediction !== "epsilon",
      "rescale_betas_zero_snr: a model that predicts noise cannot begin without any signal",
    );
    const finite = update.every((row) => row.every(Number.isFinite));
    invariant(finite, `steps: ${steps} are too many for this spacing, timestep ${timestep} repeats`);
  }
}

/**
 * The numbers a step hands to the device, laid out as core/stepScalars.ts says.
 * @param guidanceRescale share of the guided output that is brought to the conditional one's deviation (Lin et al. 2023)
 */
export function stepScalars(step: SamplerStep, guidance: number, guidanceRescale = 0): Float32Array<ArrayBuffer> {
  const scalars = new Float32Array(scalarCount);
  scalars.set([step.timestep, step.signal, step.noise, guidance, guidanceRescale]);
  for (const [i, row] of step.update.entries()) scalars.set(row, scalarRows + i * scalarStride);
  return scalars;
}
