import { invariant } from "../../core/invariant.js";
import { profile } from "../../plan/profile.js";
import type { Programs } from "../programs.js";
import type { PrepareOptions } from "../request.js";
import { denoiserFor } from "./prepare.js";

/** What one kernel call of a step takes on the device. */
export interface KernelTime {
  /** Which kernel, in which form: the name of its WGSL file. */
  readonly kernel: string;
  /** Kernel and weight. */
  readonly label: string;
  /** From the call's beginning to its end. */
  readonly microseconds: number;
}

/** Times each kernel of a denoising step, in the order in which they run. @throws WebldmError without timestamp queries */
export async function profileStep(programs: Programs, options: PrepareOptions): Promise<KernelTime[]> {
  const denoiser = await denoiserFor(programs, options);
  invariant(denoiser, "profile: the size of a step depends on the embeddings that are given");
  const timings = await profile(denoiser.plan, "step");
  return timings.map(({ call, microseconds }) => ({ kernel: call.kernel.name, label: call.label, microseconds }));
}
