import { defineKernel } from "../core/kernel.js";

/** Outputs of one workgroup; half as many where the map is gated. */
export const linearRowsColumns = 8;

/** Most rows for which reading the weight is what takes the time. */
export const linearRowsMost = 4;

/** The linear map of a few rows, such as the time embedding of each picture. */
export const linearRowsKernel = defineKernel({
  name: "linearRows",
  code: () => import("../../shaders/linearRows.wgsl"),
  reads: ["x", "weight", "bias"],
  writes: ["y"],
  params: { outputs: "u32", inner: "u32" },
  consts: ["T", "W", "O", "ROWS", "ACT_IN", "ACT", "BIAS", "GATED"],
});
