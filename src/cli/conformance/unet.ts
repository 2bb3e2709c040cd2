import { UnsupportedError } from "../../core/invariant.js";
import { unet } from "../../models/unet.js";
import { parseUNetConfig } from "../../models/unetConfig.js";
import { type Check, compareFloats } from "./compare.js";
import { limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import { channelsFirst, channelsLast } from "./values.js";

const known = ["in.sample", "in.timestep", "in.encoder_hidden_states", "in.class_labels"];

/** One evaluation of a UNet. */
export async function runUNet({ json, configPath, io, weights, lab }: ModelContext): Promise<Check[]> {
  const config = parseUNetConfig(json, configPath);
  const given = io.names("in.");
  const extra = given.find((name) => !known.includes(name));
  if (extra) throw new UnsupportedError(`the input ${extra} is not supported yet`);
  const sample = channelsLast(await io.values("in.sample"));
  const optional = async (name: string) => (given.includes(name) ? io.values(name) : undefined);
  // The reference takes a context also where no block attends to one.
  const context = config.contextWidth === undefined ? undefined : await optional("in.encoder_hidden_states");
  const labels = await optional("in.class_labels");
  const labelType = config.labels?.kind === "table" ? "u32" : "f32";
  const timestep = await io.values("in.timestep");
  const n = sample.shape[0]!;
  const t = {
    shape: [n],
    data: Array.from({ length: n }, (_, i) => timestep.data[timestep.data.length === 1 ? 0 : i]!),
  };
  const { y } = await lab.run({ weights, component: "unet" }, ({ scope, graph, input }) => {
    const conditions = {
      ...(context ? { context: input(context, graph.dtype) } : {}),
      ...(labels ? { labels: input(labels, labelType) } : {}),
    };
    return { y: unet(scope, input(sample), input(t), conditions, config) };
  });
  return compareFloats("out.sample", channelsFirst(y), await io.values("out.sample"), limits.unet, lab.precision);
}
