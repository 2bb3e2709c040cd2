import code from "../../shaders/packWeight.wgsl";
import { defineKernel } from "../core/kernel.js";

/** Applied by the loader to each piece of a tensor as it arrives; it is no part of a model's graph. */
export const packWeightKernel = defineKernel({
  name: "packWeight",
  code,
  reads: ["words"],
  writes: ["y"],
  params: { count: "u32", first: "u32", origin: "u32", inner: "u32", taps: "u32" },
  consts: ["W", "SOURCE", "LAYOUT"],
});

/** Stored types that the kernel decodes; any other is converted to F32 before. */
export const packSources: Readonly<Record<string, number>> = { F32: 0, F16: 1, BF16: 2 };
