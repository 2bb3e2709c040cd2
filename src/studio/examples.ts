import { embedded } from "./protocol.js";
import type { Loaded } from "./state.js";
import { takesPrompt } from "./support.js";

const sticker = [
  "a fox, noto style",
  "a sunflower",
  "a rocket on a navy to purple gradient",
  "an octopus, blob style",
  "a blue strawberry, flat style",
  "an owl on a purple background",
  "a ghost above a pumpkin on a black background",
  "a sailboat, classic style",
];
const others = [
  "a lighthouse at dusk, oil painting",
  "a red bicycle leaning on a wall",
  "a bowl of lemons, still life",
  "a fox in the snow, woodcut",
];

/** Prompts that suit a model. The embedded one's stand there while it loads. */
export function examplesOf(model: Loaded | undefined): readonly string[] {
  if (!takesPrompt(model?.facts)) return [];
  return !model || model.source === embedded ? sticker : others;
}
