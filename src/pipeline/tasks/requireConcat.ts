import { invariant } from "../../core/invariant.js";
import type { Run } from "../draw.js";
import type { ConcatCondition } from "../modelConfig.js";
import type { Programs } from "../programs.js";

const takes: Readonly<Record<ConcatCondition["kind"], string>> = {
  none: "no picture beside the latent",
  segmentation: "a segmentation map (semanticToImage)",
  image: "a low-resolution picture (upscale)",
  lowResolution: "a low-resolution picture (upscale)",
  maskedImage: "a picture and a mask (inpaint)",
  inpaint: "a picture and a mask (inpaint)",
  depth: "a picture and its depth (depthToImage)",
};

/** Refuses a task that the model's input channels are not made for, and says which are. */
export function requireConcat(
  { config }: Pick<Programs, "config">,
  { task }: Pick<Run, "task">,
  kinds: readonly ConcatCondition["kind"][],
): void {
  const { kind } = config.concat;
  invariant(kinds.includes(kind), `${task}: the model's denoiser takes ${takes[kind]}`);
}
