import { embedded } from "./protocol.js";
import type { Loaded } from "./state.js";
import { takesPrompt } from "./support.js";

const sticker = [
  "a fox",
  "red apple",
  "blue mushroom",
  "sunflower",
  "octopus, 3d style",
  "hamburger, flat style",
  "rocket",
  "red heart on a blue background",
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
