import { type Conditioning, conditioningOf } from "../conditioning.js";
import type { Run } from "../draw.js";
import type { Picture } from "../picture.js";
import type { Programs } from "../programs.js";
import { integer, type SamplingOptions, type SizeOptions } from "../request.js";
import { fromNoise } from "./fromNoise.js";

export interface ProgressiveRequest extends Omit<SamplingOptions, "images">, SizeOptions, Conditioning {
  /** A picture after every so many steps. */
  readonly every: number;
}

/** A progressive row: what the steps predict the finished picture to be, and in the end the picture itself. */
export async function progressive(programs: Programs, run: Run, request: ProgressiveRequest): Promise<Picture[]> {
  const { every, onStep } = request;
  integer("every", every, 1, run.settings.steps);
  const row: Picture[] = [];
  const recording: Run = {
    ...run,
    options: {
      ...run.options,
      onStep: async (info) => {
        if (info.step % every === 0 && info.step < info.steps) row.push(await info.preview());
        await onStep?.(info);
      },
    },
  };
  const finished = await fromNoise(programs, recording, request, conditioningOf(request));
  return [...row, ...finished];
}
