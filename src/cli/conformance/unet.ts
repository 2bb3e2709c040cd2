import { UnsupportedError } from "../../core/invariant.js";
import { unet } from "../../models/unet.js";
import { parseUNetConfig } from "../../models/unetConfig.js";
import { type Check, compareFloats } from "./compare.js";
import { limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import { channelsFirst, channelsLast } from "./values.js";

const known = ["in.sample", "in.timestep", "in.encoder_hidden_states"];

/** One evaluation of a UNet. */
export async function runUNet({ json, configPath, io, weights, lab }: ModelContext): Promise<Check[]> {
  const config = parseUNetConfig(json, configPath);
  const extra = io.names("in.").find((name) => !known.includes(name));
  if (extra) throw new UnsupportedError(`the input ${extra} is not supported yet`);
  const sample = channelsLast(await io.values("in.sample"));
  const context = await io.values("in.encoder_hidden_states");
  const timestep = await io.values("in.timestep");
  const n = sample.shape[0]!;
  const t = {
    shape: [n],
    data: Array.from({ length: n }, (_, i) => timestep.data[timestep.data.length === 1 ? 0 : i]!),
  };
  const { y } = await lab.run({ weights, component: "unet" }, ({ scope, graph, input }) => ({
    y: unet(scope, input(sample), input(t), { context: input(context, graph.dtype) }, config),
  }));
  return compareFloats("out.sample", channelsFirst(y), await io.values("out.sample"), limits.unet, lab.precision);
}
