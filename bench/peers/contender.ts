import type { Task } from "./net.js";

/** A task that an engine has compiled, with its inputs and weights on the device. */
export interface Prepared {
  /** Of several ways to do the same; "" where there is one. */
  readonly variant: string;
  /** Hands the work to the device. */
  run(): void | Promise<void>;
  /** Until the device is done. */
  wait(): Promise<void>;
  /** The last result, pictures [N, H, W, C]. */
  output(): Promise<ArrayLike<number>>;
  dispose(): void | Promise<void>;
}

export interface Contender {
  readonly name: string;
  readonly version: string;
  /** Ways to try; throws where the engine cannot do it. */
  prepare(task: Task, dtype: "f32" | "f16"): AsyncGenerator<Prepared>;
}
