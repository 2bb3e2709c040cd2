import { toHalf } from "../../src/core/half.js";
import type { Device } from "../../src/gpu/device.js";
import { Graph, type GraphOptions, type Tensor } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { unet } from "../../src/models/unet.js";
import type { UNetConfig } from "../../src/models/unetConfig.js";
import type { WeightBuffers } from "../../src/pipeline/upload.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import type { Values } from "./stored.js";

/** One evaluation of a denoiser: what it predicts for a latent [N, H, W, C], before guidance. */
export async function unetForward(
  device: Device,
  config: UNetConfig,
  weights: WeightBuffers,
  settings: GraphOptions,
  given: { readonly latent: Values; readonly timestep: number; readonly context: Values },
): Promise<Float32Array> {
  const graph = new Graph(settings);
  const { latent, timestep, context } = given;
  const x = graph.input("latent", latent.shape, "f32", "step");
  const t = graph.input("timesteps", [latent.shape[0]!], "f32", "step");
  const c = graph.input("context", context.shape, settings.dtype, "prompt");
  const predicted = graph.output(unet(new Scope(graph), x, t, { context: c }, config));
  const pool = new SlotPool(device);
  let plan: Plan | undefined;
  try {
    plan = await Plan.compile(device, graph, { pool, weights: weights.buffers });
    plan.write(x, latent.values);
    plan.write(t, new Float32Array(t.shape[0]!).fill(timestep));
    plan.write(c, inType(c, context.values));
    plan.run("prompt");
    plan.run("step");
    return (await plan.read(predicted)) as Float32Array;
  } finally {
    plan?.dispose();
    pool.dispose();
  }
}

const inType = ({ dtype }: Tensor, values: Float32Array<ArrayBuffer>) =>
  dtype === "f16" ? Uint16Array.from(values, toHalf) : values;
