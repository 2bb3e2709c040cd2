import type { Tensor } from "../../graph/graph.js";
import { type DdimStepOptions, ddimStep } from "../../ops/ddimStep.js";
import { type DdimStep, stepScalars } from "../../sampling/ddim.js";
import type { Lab } from "./lab.js";
import { item, stack, type Values } from "./values.js";

/** A denoiser in closed form. */
export type ClosedForm = (x: number, t: number) => number;

/** The model of the reference data's samplers, with a condition where there is one. */
export const closedForm =
  (condition = 0): ClosedForm =>
  (x, t) =>
    0.3 * Math.tanh(x) * (1 + t / 1000) + (condition === 0 ? 0 : 0.05 * condition * Math.cos(x));

export interface Trajectory {
  readonly start: Values;
  readonly steps: readonly DdimStep[];
  /** One, or for guidance [unconditional, conditional]. */
  readonly models: readonly ClosedForm[];
  readonly guidance?: number;
  /** One a step, where eta is not 0. */
  readonly noise?: Values;
  readonly options?: Omit<DdimStepOptions, "noise">;
}

/** Runs our sampler's kernel from the start and gives x before the first step and after every step. */
export async function runTrajectory(lab: Lab, trajectory: Trajectory): Promise<Values> {
  const { start, steps, models, guidance = 1, noise: noises, options } = trajectory;
  const { shape } = start;
  const zeros = (axes: readonly number[]): Values => ({
    shape: axes,
    data: new Float32Array(axes.reduce((a, b) => a * b, 1)),
  });
  const batch = [shape[0]! * models.length, ...shape.slice(1)];
  let noise: Tensor | undefined;
  const session = await lab.open({ dtype: "f32" }, ({ graph, input }) => {
    const x = graph.state("x", shape);
    const eps = input(zeros(batch));
    const scalars = input(zeros([16]));
    noise = noises ? input(zeros(shape)) : undefined;
    const x0 = ddimStep(x, eps, scalars, { ...options, ...(noise ? { noise } : {}) });
    return { x, eps, scalars, x0 };
  });
  try {
    const { x, eps, scalars } = session.tensors;
    session.write(x, start);
    const seen = [await session.read(x)];
    for (const [i, step] of steps.entries()) {
      const now = Array.from(seen[i]!.data);
      // The model is evaluated in float64 and rounded once.
      const data = models.flatMap((model) => now.map((value) => model(value, step.timestep)));
      session.write(eps, { shape: batch, data });
      session.write(scalars, { shape: [16], data: stepScalars(step, guidance) });
      if (noise && noises) session.write(noise, item(noises, i));
      session.run("step");
      seen.push(await session.read(x));
    }
    return stack(seen);
  } finally {
    session.dispose();
  }
}
