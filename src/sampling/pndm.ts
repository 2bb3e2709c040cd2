import { invariant } from "../core/invariant.js";
import { type Combination, column, columns, type SamplerStep, sum, type Walk } from "./path.js";
import { cumulativeAlphas, type SchedulerConfig } from "./schedule.js";
import { timesteps } from "./timesteps.js";

/** Registers 0 to 2: earlier outputs of the denoiser, newest first. The warm-up needs two more. */
const saved = 3;
const total = 4;

/**
 * Pseudo numerical methods (Liu et al. 2022) as diffusers' PNDMScheduler runs them: linear multistep, after a
 * Runge-Kutta warm-up of three steps unless that is skipped. `begin` counts evaluations left out at the start; the
 * warm-up counts from where it begins, as there.
 */
export function pndmWalk(config: SchedulerConfig, steps: number, begin: number): Walk {
  const { trainSteps, skipWarmUp } = config;
  invariant(skipWarmUp || steps >= 4, `steps: pndm with its Runge-Kutta warm-up takes at least 4, got ${steps}`);
  const alphas = cumulativeAlphas(config);
  const stride = Math.floor(trainSteps / steps);
  const half = Math.floor(stride / 2);
  const alphaAt = (timestep: number): number => {
    if (timestep < 0) return config.alphaOne ? 1 : alphas[0]!;
    const alpha = alphas[timestep];
    invariant(
      alpha !== undefined,
      `steps: ${steps} steps visit timestep ${timestep}, training ended at ${trainSteps - 1}`,
    );
    return alpha;
  };
  const falling = timesteps(config, steps);
  const warmUp = skipWarmUp ? [] : warmUpTimesteps(falling, half);
  const visits = skipWarmUp ? [...falling.slice(0, 2), ...falling.slice(1)] : [...warmUp, ...falling.slice(3)];

  const registers = skipWarmUp ? 3 : 5;
  const unit = (index: number) => column(registers, index);
  const register = (index: number) => unit(columns.registers + index);
  const x = unit(columns.x);
  const earlier = [0, 1, 2].map(register);
  const rest = (...rows: Combination[]): Combination[] => [
    ...rows,
    ...Array.from({ length: registers - rows.length }, (_, i) => register(rows.length + i)),
  ];

  /** Formula 9 of the paper. Outputs of v models are averaged first, and read at the step's start, as the reference does. */
  const transfer = (from: number, to: number, latent: Combination, output: Combination): Combination => {
    const a = alphaAt(from);
    const b = alphaAt(to);
    const eps = config.prediction === "v_prediction" ? sum([Math.sqrt(a), output], [Math.sqrt(1 - a), latent]) : output;
    const weight = (b - a) / (a * Math.sqrt(1 - b) + Math.sqrt(a * (1 - a) * b));
    return sum([Math.sqrt(b / a), latent], [-weight, eps]);
  };

  let held = 0;
  const walk = visits.slice(begin).map((timestep, counter): SamplerStep => {
    const alpha = alphaAt(timestep);
    const level = { timestep, signal: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha), draws: false };
    const output =
      config.prediction === "v_prediction"
        ? sum([level.signal, unit(columns.eps)], [-level.noise, unit(columns.x0)])
        : unit(columns.eps);
    if (counter < warmUp.length) {
      const stage = counter % 4;
      const from = warmUp[counter - stage]!;
      const to = stage % 2 ? timestep : timestep - half;
      const start = stage === 0 ? x : register(saved);
      const mean = stage === 3 ? sum([1, register(total)], [1 / 6, output]) : output;
      const sums = [sum([1 / 6, output]), sum([1, register(total)], [1 / 3, output])];
      if (stage === 0) held++;
      const outputs = stage === 0 ? [output, earlier[0]!, earlier[1]!] : earlier;
      return { ...level, update: [transfer(from, to, start, mean), ...outputs, start, sums[Math.min(stage, 1)]!] };
    }
    if (counter === 1) {
      // The second evaluation of the first step corrects it; the latent from before it was saved.
      const mean = sum([0.5, output], [0.5, earlier[0]!]);
      const next = transfer(timestep + stride, timestep, register(2), mean);
      return { ...level, trial: true, update: [next, ...rest(earlier[0]!)] };
    }
    const next = transfer(timestep, timestep - stride, x, multistep(output, earlier, held));
    const kept = held === 0 ? x : earlier[1]!;
    held++;
    return { ...level, update: [next, ...rest(output, earlier[0]!, kept)] };
  });
  return { steps: walk, registers };
}

/** Each step of the warm-up evaluates at its start, twice in the middle, and at its end. */
function warmUpTimesteps(falling: readonly number[], half: number): number[] {
  const [a, b, c, d] = falling.slice(0, 4) as [number, number, number, number];
  return [a, b + half, b + half, b, b, c + half, c + half, c, c, d + half, d + half, d];
}

/** PLMS of the original code, over timesteps in rising order. */
export function compvisPlmsWalk(alphas: readonly number[], rising: readonly number[]): Walk {
  const registers = 3;
  const unit = (index: number) => column(registers, index);
  const x = unit(columns.x);
  const eps = unit(columns.eps);
  const zero = sum([0, x]);
  const [first, second, third] = [0, 1, 2].map((i) => unit(columns.registers + i)) as [
    Combination,
    Combination,
    Combination,
  ];
  const at = (timestep: number): number => {
    const alpha = alphas[timestep];
    invariant(alpha !== undefined, `steps: timestep ${timestep} is beyond the ${alphas.length} of training`);
    return alpha;
  };
  /** The DDIM step number `index` of a latent along a direction. */
  const transfer = (index: number, latent: Combination, direction: Combination): Combination => {
    const a = at(rising[index]!);
    const b = index === 0 ? alphas[0]! : at(rising[index - 1]!);
    return sum([Math.sqrt(b / a), latent], [Math.sqrt(1 - b) - Math.sqrt(((1 - a) * b) / a), direction]);
  };
  const level = (timestep: number) => {
    const alpha = at(timestep);
    return { timestep, signal: Math.sqrt(alpha), noise: Math.sqrt(1 - alpha), draws: false };
  };
  const steps: SamplerStep[] = [];
  for (let index = rising.length - 1, held = 0; index >= 0; index--, held++) {
    const here = level(rising[index]!);
    if (held === 0) {
      // Improved Euler: a trial step, and the mean of the directions at both ends, from the saved latent.
      const end = rising[Math.max(index - 1, 0)]!;
      steps.push({ ...here, update: [transfer(index, x, eps), eps, zero, x] });
      const mean = sum([0.5, eps], [0.5, first]);
      steps.push({ ...level(end), trial: true, update: [transfer(index, third, mean), first, zero, zero] });
    } else {
      const direction = multistep(eps, [first, second, third], held);
      steps.push({ ...here, update: [transfer(index, x, direction), eps, first, second] });
    }
  }
  return { steps, registers };
}

/** Adams and Bashforth's weights for the newest output and as many earlier ones as are held, three at most. */
function multistep(output: Combination, earlier: readonly Combination[], held: number): Combination {
  const weights = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]][
    Math.min(held, 3)
  ]!;
  return sum(...weights.map((weight, i) => [weight, i === 0 ? output : earlier[i - 1]!] as const));
}
