import type { TuningTable } from "../../core/tuningTable.js";

/** The embedded model, a picture of its own size with guidance. */
export const llvmpipe: TuningTable = {
  version: "0.1.0",
  adapter: "mesa, software, llvmpipe-llvm-15-0-6-256-bits-, llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1",
  id: "9ecfd67d",
  entries: {
    "groupNorm f16 1x128x128x48 groups=16": "usual",
    "groupNorm f16 1x128x128x64 groups=16": "usual",
    "groupNorm f16 1x16x16x128 groups=16": "usual",
    "groupNorm f16 1x32x32x128 groups=16": "usual",
    "groupNorm f16 1x32x32x96 groups=16": "usual",
    "groupNorm f16 1x64x64x64 groups=16": "usual",
    "groupNorm f16 1x64x64x96 groups=16": "usual",
    "groupNorm f16 2x16x16x128 groups=32": "usual",
    "groupNorm f16 2x16x16x256 groups=32": "usual",
    "groupNorm f16 2x16x16x320 groups=32": "usual",
    "groupNorm f16 2x4x4x128 groups=32": "usual",
    "groupNorm f16 2x4x4x192 groups=32": "usual",
    "groupNorm f16 2x4x4x256 groups=32": "usual",
    "groupNorm f16 2x4x4x320 groups=32": "usual",
    "groupNorm f16 2x8x8x128 groups=32": "usual",
    "groupNorm f16 2x8x8x192 groups=32": "usual",
    "groupNorm f16 2x8x8x320 groups=32": "usual",
    "linear f16 2x128 dtype=f16 out=512": "usual",
    "linear f16 2x512 out=128": "rows",
    "linear f16 2x512 out=192": "rows",
    "linear f16 2x512 out=512": "rows",
  },
};
