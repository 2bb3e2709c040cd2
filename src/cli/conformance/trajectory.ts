import { sizeOf } from "../../core/shape.js";
import { blendMasked } from "../../ops/blendMasked.js";
import { type SamplerStepOptions, samplerStep, scalarCount } from "../../ops/samplerStep.js";
import { type SamplerPath, stepScalars } from "../../sampling/sampler.js";
import type { Lab } from "./lab.js";
import { item, type Values } from "./values.js";

/** A denoiser in closed form. */
export type ClosedForm = (x: number, t: number) => number;

/** The model of the reference data's samplers, with a condition where there is one. */
export const closedForm =
  (condition = 0): ClosedForm =>
  (x, t) =>
    0.3 * Math.tanh(x) * (1 + t / 1000) + (condition === 0 ? 0 : 0.05 * condition * Math.cos(x));

export interface Trajectory {
  readonly start: Values;
  readonly path: SamplerPath;
  /** One, or for guidance [unconditional, conditional]. */
  readonly models: readonly ClosedForm[];
  readonly guidance?: number;
  /** One for each step that draws. */
  readonly noise?: Values;
  /** Changes the latent before a step sees it. */
  readonly before?: (x: Values, step: number) => Promise<Values>;
  readonly options?: Omit<SamplerStepOptions, "noise" | "registers">;
}

const zeros = (shape: readonly number[]): Values => ({ shape, data: new Float32Array(sizeOf(shape)) });

/** Runs our sampler's kernel from the start and gives x before the first evaluation and after every one. */
export async function runTrajectory(lab: Lab, trajectory: Trajectory): Promise<Values[]> {
  const { start, path, models, guidance = 1, noise: noises, before, options } = trajectory;
  const { shape } = start;
  const batch = [shape[0]! * models.length, ...shape.slice(1)];
  const session = await lab.open({ dtype: "f32" }, ({ graph, input }) => {
    const x = graph.state("x", shape);
    const output = input(zeros(batch));
    const scalars = input(zeros([scalarCount]));
    const noise = path.draws ? input(zeros(shape)) : undefined;
    const registers = path.registers > 0 ? graph.state("registers", [path.registers, ...shape]) : undefined;
    const x0 = samplerStep(x, output, scalars, {
      ...options,
      ...(noise ? { noise } : {}),
      ...(registers ? { registers } : {}),
    });
    return { x, output, scalars, x0, ...(noise ? { noise } : {}) };
  });
  try {
    const { x, output, scalars, noise } = session.tensors;
    const seen = [start];
    let drawn = 0;
    for (const [i, step] of path.steps.entries()) {
      let now = seen[i]!;
      if (before) now = await before(now, i);
      session.write(x, now);
      // The model is evaluated in float64 on what the device holds, and rounded once.
      const held = Array.from(now.data, Math.fround);
      const data = models.flatMap((model) => held.map((value) => model(value, step.timestep)));
      session.write(output, { shape: batch, data });
      session.write(scalars, { shape: [scalarCount], data: stepScalars(step, guidance) });
      if (noise && noises && step.draws) session.write(noise, item(noises, drawn++));
      session.run("step");
      seen.push(await session.read(x));
    }
    return seen;
  } finally {
    session.dispose();
  }
}

/**
 * Puts a clean latent, noised to a level, where the mask [N or 1, H, W, 1] is 0, with our kernel; latents are
 * [N, H, W, C].
 */
export async function blend(
  lab: Lab,
  { x, clean, mask, noise }: Readonly<Record<"x" | "clean" | "mask" | "noise", Values>>,
  level: { readonly signal: number; readonly noise: number },
): Promise<Values> {
  const session = await lab.open({ dtype: "f32" }, ({ graph, input }) => {
    const state = graph.state("x", x.shape);
    const scalars = input({ shape: [2], data: [level.signal, level.noise] });
    blendMasked(state, input(clean), input(mask), input(noise), scalars);
    return { state };
  });
  try {
    session.write(session.tensors.state, x);
    session.run("step");
    return await session.read(session.tensors.state);
  } finally {
    session.dispose();
  }
}
