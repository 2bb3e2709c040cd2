import { invariant } from "../../core/invariant.js";
import type { Run } from "../draw.js";

/** Refuses what a task that mixes the noise of seeds, picture by picture, has no use for. */
export function requireOwnNoise({ task, settings }: Run): void {
  const { noise, seeds } = settings;
  invariant(noise === "torch", `noise: ${task} mixes that of torch, got ${noise}`);
  invariant(seeds.length === 1, `images: ${task} draws one picture after the other, got ${seeds.length}`);
}
