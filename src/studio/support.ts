import type { Mode, ModelFacts } from "./protocol.js";

const needs: Readonly<Record<string, string>> = {
  segmentation: "draws from maps that say what lies where, which this page cannot make yet",
  image: "makes small pictures larger",
  lowResolution: "makes small pictures larger",
  maskedImage: "fills in parts of a picture",
  inpaint: "fills in parts of a picture",
  depth: "draws from a picture and its depth, which this page cannot make yet",
};

/** Why a model cannot do something, in a sentence; undefined where it can. */
export function whyNot(mode: Mode, { conditioning, concat }: ModelFacts): string | undefined {
  if (conditioning === "embeddings") {
    return "This model draws from embeddings of other pictures, which this page cannot make. The library can.";
  }
  const own = needs[concat];
  if (mode === "upscale") {
    const can = concat === "image" || concat === "lowResolution";
    return can ? undefined : "Making pictures larger takes an upscaler, such as Stable Diffusion's ×4 upscaler.";
  }
  if (mode === "inpaint" || mode === "outpaint") {
    const can = concat === "none" || concat === "inpaint" || concat === "maskedImage";
    return can ? undefined : `This model ${own}; it cannot repaint.`;
  }
  if (own) return `This model ${own}. Choose what it is made for.`;
  if (mode === "layout") {
    return conditioning === "objects"
      ? undefined
      : "Drawing from boxes takes a model that learnt from layouts, such as layout2img of the latent diffusion paper.";
  }
  if (mode === "text" && conditioning === "objects") return "This model draws from boxes: choose Layout.";
  return undefined;
}

/** The first thing that a model can do, where the one that is chosen is not among them. */
export function modeFor(chosen: Mode, facts: ModelFacts): Mode {
  if (!whyNot(chosen, facts)) return chosen;
  const order: readonly Mode[] = ["text", "layout", "inpaint", "upscale"];
  return order.find((mode) => !whyNot(mode, facts)) ?? chosen;
}

/** Whether a prompt means anything to the model. */
export const takesPrompt = (facts: ModelFacts | undefined): boolean => (facts?.conditioning ?? "prompt") === "prompt";
