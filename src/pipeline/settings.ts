import type { Device } from "../gpu/device.js";
import type { GraphOptions } from "../graph/graph.js";
import { graphOptions } from "../plan/options.js";

/** Whether graphs so recorded may take Winograd's form of convolution: on GPUs, where no matrix units multiply. */
export const wantsWinograd = ({ software, matrix, dtype }: GraphOptions): boolean =>
  !software && !(matrix && dtype === "f16");

/** How to record graphs that this device will run, with the forms of ops that are fetched for devices like it. */
export async function settingsFor(device: Device, dtype: "f32" | "f16"): Promise<GraphOptions> {
  const options = graphOptions(device, dtype);
  if (!wantsWinograd(options)) return options;
  const { winograd } = await import("../ops/conv2dWinograd.js");
  return { ...options, winograd };
}
