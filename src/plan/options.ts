import type { Device } from "../gpu/device.js";
import type { GraphOptions } from "../graph/graph.js";

/** How to record graphs that this device will run. */
export const graphOptions = (device: Device, dtype: "f32" | "f16"): GraphOptions => ({
  dtype,
  maxBinding: device.maxBinding,
  software: device.features.software,
  matrix: device.features.matrix,
  subgroup: device.features.subgroup,
});
