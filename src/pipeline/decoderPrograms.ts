import type { Shape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Plan } from "../plan/plan.js";

/** A value on the device. */
export interface Held {
  readonly buffer: GPUBuffer;
  readonly shape: Shape;
}

/** Compiled programs and where they read and leave their values. */
export interface DecoderPrograms {
  readonly latent: Held;
  readonly rgba: Held;
  /** In [-1, 1], not clamped; absent where only RGBA is kept. */
  readonly picture: Held | undefined;
  readonly run: () => void;
}

export const held = (plan: Plan, tensor: Tensor): Held => ({ buffer: plan.buffer(tensor), shape: tensor.shape });
