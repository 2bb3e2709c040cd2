import { toHalf } from "../../src/core/half.js";
import type { Device } from "../../src/gpu/device.js";
import type { GraphOptions, Tensor } from "../../src/graph/graph.js";
import type { UNetConfig } from "../../src/models/unetConfig.js";
import { settingsFor } from "../../src/pipeline/settings.js";
import { uploadWeights } from "../../src/pipeline/upload.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import type { OpCase } from "../speed/opCases.js";
import { planOf } from "../speed/opPlan.js";
import { randomBytes } from "../speed/randomModel.js";
import type { Prepared } from "./contender.js";
import type { Expected, Task } from "./net.js";
import { recordUnet, timestep } from "./tasks.js";

const prepared = (plan: Plan, output: () => Promise<ArrayLike<number>>, dispose: () => void): Prepared => ({
  variant: "",
  run: () => plan.run("step"),
  wait: () => plan.device.idle(),
  output,
  dispose,
});

/** An operator of the bench by this engine. */
export async function ownOp(device: Device, dtype: "f32" | "f16", item: OpCase): Promise<Prepared> {
  const { plan, output, dispose } = await planOf(device, dtype, item);
  return prepared(plan, output, dispose);
}

/**
 * What a denoiser too large for float64 should give: by this engine in float32, on the forms for CPUs, which share no
 * kernel with what is measured on a GPU.
 */
export async function expectedUnet(device: Device, config: UNetConfig, task: Task): Promise<Expected> {
  const settings: GraphOptions = { dtype: "f32", maxBinding: device.maxBinding, software: true };
  const { run, output, dispose } = await ownUnet(device, "f32", config, task, settings);
  await run();
  const values = await output();
  await dispose();
  return { places: Array.from({ length: values.length }, (_, i) => i), values };
}

/** A denoiser by this engine. */
export async function ownUnet(
  device: Device,
  dtype: "f32" | "f16",
  config: UNetConfig,
  task: Task,
  given?: GraphOptions,
): Promise<Prepared> {
  const settings = given ?? (await settingsFor(device, dtype));
  const [batch, side] = task.inputs.get("latent")!.shape as readonly [number, number];
  const { graph, latent, timesteps, context, output } = recordUnet(config, side, batch, dtype, settings);
  const stored = graph.requests().map((request): [string, StoredTensor] => {
    const { name, shape } = request;
    const source = randomBytes(request);
    return [name, { name, dtype: "F16", shape, source, begin: 0, end: source.size }];
  });
  const weights = await uploadWeights(device, graph.requests(), new Map(stored), { component: "unet" });
  const pool = new SlotPool(device);
  const plan = await Plan.compile(device, graph, { pool, weights: weights.buffers });
  const write = (tensor: Tensor, values: Float32Array<ArrayBuffer>) =>
    plan.write(tensor, tensor.dtype === "f16" ? Uint16Array.from(values, toHalf) : values);
  write(latent, task.inputs.get("latent")!.values);
  write(context, task.inputs.get("context")!.values);
  write(timesteps, new Float32Array(batch).fill(timestep));
  return prepared(
    plan,
    () => plan.read(output),
    () => {
      plan.dispose();
      pool.dispose();
      weights.dispose();
    },
  );
}
