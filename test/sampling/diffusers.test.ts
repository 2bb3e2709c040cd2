import { describe, expect, it } from "vitest";
import { samplerPath } from "../../src/sampling/sampler.js";
import { parseSchedulerConfig } from "../../src/sampling/schedule.js";
import { walk } from "./walk.js";

const stableDiffusion = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" };
const noise = [0.3, -1.2, 0.8];
const picture = [1, 0.5, -0.4];

/**
 * The schedulers of diffusers 0.40.0.dev0 run in float64 on the model 0.3 * tanh(x) * (1 + t / 1000), with the draws of `walk`:
 * what they end on. With a strength they begin as their image-to-image pipelines do: fewer timesteps, add_noise.
 */
const runs: readonly {
  readonly config: Readonly<Record<string, unknown>>;
  readonly options: { readonly steps: number; readonly eta?: number; readonly strength?: number };
  readonly timesteps: readonly number[];
  readonly x: readonly number[];
}[] = [
  {
    config: { _class_name: "DDIMScheduler", clip_sample: false, steps_offset: 1 },
    options: { steps: 6, eta: 0.5, strength: 0.5 },
    timesteps: [333, 167, 1],
    x: [1.16231917, -0.288717402, 0.368228515],
  },
  {
    config: {
      _class_name: "DDIMScheduler",
      timestep_spacing: "trailing",
      rescale_betas_zero_snr: true,
      prediction_type: "v_prediction",
      clip_sample: false,
    },
    options: { steps: 5, eta: 1.0 },
    timesteps: [999, 799, 599, 399, 199],
    x: [0.0514838957, 0.165812452, 0.185262258],
  },
  {
    config: { _class_name: "DDPMScheduler", timestep_spacing: "trailing" },
    options: { steps: 7 },
    timesteps: [999, 856, 713, 570, 428, 285, 142],
    x: [0.290217692, -0.355862796, 0.235499478],
  },
  {
    config: { _class_name: "DDPMScheduler", variance_type: "fixed_large", clip_sample: false },
    options: { steps: 6, strength: 0.7 },
    timesteps: [498, 332, 166, 0],
    x: [1.18942555, -0.613318786, 0.574475757],
  },
  {
    config: {
      _class_name: "DDPMScheduler",
      beta_schedule: "sigmoid",
      variance_type: "fixed_small_log",
      prediction_type: "sample",
    },
    options: { steps: 5 },
    timesteps: [800, 600, 400, 200, 0],
    x: [0.00396011801, -0.0164624767, 0.0099541725],
  },
  {
    config: { _class_name: "DDPMScheduler", thresholding: true, sample_max_value: 1.5, clip_sample: false },
    options: { steps: 5 },
    timesteps: [800, 600, 400, 200, 0],
    x: [0.568441576, -0.480104152, 0.469761892],
  },
  {
    config: { _class_name: "PNDMScheduler", skip_prk_steps: true, steps_offset: 1 },
    options: { steps: 6, strength: 0.5 },
    timesteps: [499, 333, 167, 1],
    x: [0.936487139, -0.902697891, 0.539247488],
  },
  {
    config: {
      _class_name: "PNDMScheduler",
      skip_prk_steps: true,
      timestep_spacing: "linspace",
      prediction_type: "v_prediction",
    },
    options: { steps: 7 },
    timesteps: [999, 832, 832, 666, 500, 333, 166, 0],
    x: [0.159646183, -0.709550425, 0.44701147],
  },
  {
    config: { _class_name: "PNDMScheduler", timestep_spacing: "trailing", prediction_type: "v_prediction" },
    options: { steps: 5 },
    timesteps: [999, 899, 899, 799, 799, 699, 699, 599, 599, 499, 499, 399, 399, 199],
    x: [0.123382925, -0.558982307, 0.348479731],
  },
  {
    config: { _class_name: "PNDMScheduler" },
    options: { steps: 8, strength: 0.6 },
    timesteps: [750, 687, 687, 625, 625, 562, 562, 500, 500, 375, 250, 125, 0],
    x: [2.82561906, -9.04930884, 4.38664446],
  },
  {
    config: { _class_name: "DPMSolverMultistepScheduler" },
    options: { steps: 6, strength: 0.5 },
    timesteps: [500, 333, 166],
    x: [1.02091131, -0.986057272, 0.576825125],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      solver_order: 3,
      timestep_spacing: "leading",
      steps_offset: 1,
    },
    options: { steps: 8, strength: 0.8 },
    timesteps: [667, 556, 445, 334, 223, 112],
    x: [1.05061082, -1.94061858, 1.09587604],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      solver_order: 3,
      final_sigmas_type: "sigma_min",
      euler_at_final: true,
    },
    options: { steps: 16 },
    timesteps: [999, 937, 874, 812, 749, 687, 624, 562, 500, 437, 375, 312, 250, 187, 125, 62],
    x: [1.10459954, -10.2697576, 5.3094813],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "dpmsolver",
      solver_type: "heun",
      final_sigmas_type: "sigma_min",
      prediction_type: "v_prediction",
    },
    options: { steps: 5 },
    timesteps: [999, 799, 599, 400, 200],
    x: [0.128143072, -0.588992874, 0.363952752],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "dpmsolver",
      solver_order: 3,
      final_sigmas_type: "sigma_min",
      lower_order_final: false,
      prediction_type: "sample",
    },
    options: { steps: 6 },
    timesteps: [999, 832, 666, 500, 333, 166],
    x: [0.0390833551, -0.153726177, 0.104588501],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "sde-dpmsolver",
      final_sigmas_type: "sigma_min",
    },
    options: { steps: 5 },
    timesteps: [999, 799, 599, 400, 200],
    x: [5.90383461, -0.108156856, 5.47589553],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "sde-dpmsolver",
      solver_type: "heun",
      final_sigmas_type: "sigma_min",
    },
    options: { steps: 5 },
    timesteps: [999, 799, 599, 400, 200],
    x: [5.99457427, -0.0620416775, 5.50423204],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "sde-dpmsolver++",
      solver_order: 3,
      lower_order_final: false,
    },
    options: { steps: 6 },
    timesteps: [999, 832, 666, 500, 333, 166],
    x: [2.77897773, -0.608307277, 4.24878059],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      algorithm_type: "sde-dpmsolver++",
      solver_type: "heun",
      timestep_spacing: "trailing",
    },
    options: { steps: 5, strength: 0.7 },
    timesteps: [599, 399, 199],
    x: [1.80915682, -0.230922377, 1.05796543],
  },
  {
    config: { _class_name: "DPMSolverMultistepScheduler", use_exponential_sigmas: true },
    options: { steps: 6 },
    timesteps: [999, 756, 413, 102, 10, 0],
    x: [1.10247794, -10.3568967, 5.45051305],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      use_lu_lambdas: true,
      final_sigmas_type: "sigma_min",
      solver_order: 3,
    },
    options: { steps: 6 },
    timesteps: [999, 757, 413, 103, 11, 0],
    x: [1.26694865, -10.4760457, 5.6802419],
  },
  {
    config: { _class_name: "DPMSolverMultistepScheduler", use_karras_sigmas: true, beta_schedule: "squaredcos_cap_v2" },
    options: { steps: 6, strength: 0.6 },
    timesteps: [992, 837, 0],
    x: [10.7045231, -72.1267949, 40.4505872],
  },
  {
    config: { _class_name: "DPMSolverMultistepScheduler", use_karras_sigmas: true, final_sigmas_type: "sigma_min" },
    options: { steps: 6 },
    timesteps: [999, 837, 594, 249, 30, 0],
    x: [0.991581214, -10.2753084, 5.25520507],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      beta_schedule: "squaredcos_cap_v2",
      lambda_min_clipped: -5.1,
    },
    options: { steps: 6 },
    timesteps: [995, 829, 663, 498, 332, 166],
    x: [18.9105387, -112.488646, 64.2087213],
  },
  {
    config: { _class_name: "DPMSolverMultistepScheduler", lambda_min_clipped: -2.0, timestep_spacing: "trailing" },
    options: { steps: 7 },
    timesteps: [876, 733, 590, 447, 305, 162, 19],
    x: [0.75821898, -5.5736313, 3.02783187],
  },
  {
    config: { _class_name: "DPMSolverMultistepScheduler", lambda_min_clipped: -2.0, timestep_spacing: "leading" },
    options: { steps: 7 },
    timesteps: [763, 654, 545, 436, 327, 218, 109],
    x: [0.564501617, -3.50309153, 1.96790889],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      rescale_betas_zero_snr: true,
      prediction_type: "v_prediction",
      timestep_spacing: "trailing",
    },
    options: { steps: 5 },
    timesteps: [999, 799, 599, 399, 199],
    x: [0.119287143, -0.550759001, 0.3393148],
  },
  {
    config: {
      _class_name: "DPMSolverMultistepScheduler",
      thresholding: true,
      sample_max_value: 1.3,
      algorithm_type: "dpmsolver",
      final_sigmas_type: "sigma_min",
    },
    options: { steps: 5 },
    timesteps: [999, 799, 599, 400, 200],
    x: [0.506879514, -1.03264753, 0.981377097],
  },
];

describe("runs of diffusers' schedulers", () => {
  it.each(runs)("$config $options", ({ config, options, timesteps, x }) => {
    const parsed = parseSchedulerConfig({ ...stableDiffusion, ...config });
    const path = samplerPath(parsed, options);
    expect(path.steps.map((step) => step.timestep)).toEqual(timesteps);
    const start = noise.map((value, i) => path.start.signal * picture[i]! + path.start.noise * value);
    const model = (value: number, t: number) => 0.3 * Math.tanh(value) * (1 + t / 1000);
    const end = walk(path, parsed, start, model).at(-1)!;
    const largest = Math.max(...x.map(Math.abs));
    // Levels of DPM-Solver are rounded to float32 there.
    for (const [i, value] of x.entries()) expect(Math.abs(end[i]! - value)).toBeLessThan(3e-6 * Math.max(largest, 1));
  });
});
