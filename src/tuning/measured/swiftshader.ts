import type { TuningTable } from "../../core/tuningTable.js";

/** The embedded model, a picture of its own size with guidance. */
export const swiftshader: TuningTable = {
  version: "0.1.0",
  adapter: "google, swiftshader, swiftshader-device-subzero-, SwiftShader driver 5.0.0",
  id: "78b41603",
  entries: {
    "groupNorm f32 1x128x128x48 groups=16": "usual",
    "groupNorm f32 1x128x128x64 groups=16": "usual",
    "groupNorm f32 1x16x16x128 groups=16": "usual",
    "groupNorm f32 1x32x32x128 groups=16": "usual",
    "groupNorm f32 1x32x32x96 groups=16": "usual",
    "groupNorm f32 1x64x64x64 groups=16": "usual",
    "groupNorm f32 1x64x64x96 groups=16": "usual",
    "groupNorm f32 2x16x16x128 groups=32": "usual",
    "groupNorm f32 2x16x16x256 groups=32": "usual",
    "groupNorm f32 2x16x16x320 groups=32": "usual",
    "groupNorm f32 2x4x4x128 groups=32": "whole",
    "groupNorm f32 2x4x4x192 groups=32": "usual",
    "groupNorm f32 2x4x4x256 groups=32": "whole",
    "groupNorm f32 2x4x4x320 groups=32": "usual",
    "groupNorm f32 2x8x8x128 groups=32": "usual",
    "groupNorm f32 2x8x8x192 groups=32": "usual",
    "groupNorm f32 2x8x8x320 groups=32": "usual",
    "linear f32 2x128 dtype=f32 out=512": "usual",
    "linear f32 2x512 out=128": "usual",
    "linear f32 2x512 out=192": "usual",
    "linear f32 2x512 out=512": "usual",
  },
};
