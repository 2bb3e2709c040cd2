// Times that this project sets itself on an H100, in milliseconds: those that must be met, and those aimed at.
import type { Device } from "../../src/gpu/device.js";

/** Which kernels a device runs: on matrix units, float16 multiply-adds, or float32. */
export type Path = "matrix" | "f16" | "f32";

export const pathOf = ({ gpu }: Device, dtype: "f32" | "f16"): Path => {
  if (dtype === "f32") return "f32";
  const features: ReadonlySet<string> = gpu.features;
  return features.has("chromium-experimental-subgroup-matrix") ? "matrix" : "f16";
};

type Target = readonly [required: number, aim: number];

const targets: Readonly<Record<Path, Readonly<Record<string, Target>>>> = {
  matrix: {
    "conv 3x3 320>320 @64x64 batch 2": [0.12, 0.06],
    "conv 3x3 1280>1280 @16x16 batch 2": [0.15, 0.07],
    "linear 4096x320x2560": [0.05, 0.025],
    "attention 2x4096x8x40": [0.6, 0.25],
    "group norm + SiLU 2x320x64x64": [0.05, 0.03],
    "UNet step batch 2": [24, 12],
    "VAE decode 512": [45, 25],
    "20-step picture 512": [600, 300],
  },
  f16: { "UNet step batch 2": [55, 40] },
  f32: { "UNet step batch 2": [70, 50] },
};

/** For a row of Stable Diffusion 1.5 on a path, if there is one. */
export function targetOf(path: Path, id: string): { readonly required?: number; readonly aim?: number } {
  const [required, aim] = targets[path][id] ?? [];
  return required === undefined || aim === undefined ? {} : { required, aim };
}
