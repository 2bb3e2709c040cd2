import type { ModelConfig } from "../../index.js";

/** What a model is called, by what it is told to draw from: "Stable Diffusion 1, inpainting". */
export function familyOf({ conditioner, concat, unet }: ModelConfig): string {
  const width = unet.contextWidth;
  const stable = conditioner.kind === "clip" && (width === 768 || width === 1024);
  const base = stable ? `Stable Diffusion ${width === 768 ? 1 : 2}` : "Latent diffusion";
  const joined = concats[concat.kind];
  const told = stable ? undefined : conditioners[conditioner.kind];
  return [base, told && joined ? undefined : told, joined].filter(Boolean).join(", ");
}

const conditioners: Readonly<Record<ModelConfig["conditioner"]["kind"], string>> = {
  none: "without words",
  clip: "from text",
  bert: "from text",
  boxes: "from layouts",
  class: "by class",
  embeddings: "retrieval-augmented",
};

const concats: Readonly<Record<ModelConfig["concat"]["kind"], string | undefined>> = {
  none: undefined,
  segmentation: "from segmentation maps",
  image: "super-resolution",
  maskedImage: "inpainting",
  inpaint: "inpainting",
  depth: "depth",
  lowResolution: "×4 upscaler",
};
