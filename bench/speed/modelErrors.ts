// Errors of whole networks. Float64 is out of reach for them; what stands for it is float32 from the same weights and inputs:
// for float16 on the same device's forms for float32, for float32 on the forms for CPUs, which share no kernel with these.
import { fromHalf, toHalf } from "../../src/core/half.js";
import { sizeOf } from "../../src/core/shape.js";
import type { Device } from "../../src/gpu/device.js";
import { Graph, type GraphOptions, type Tensor } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { decodeLatent } from "../../src/models/autoencoder.js";
import { unet } from "../../src/models/unet.js";
import { type Component, uploadComponent } from "../../src/pipeline/components.js";
import { contextGraph } from "../../src/pipeline/contextEncoder.js";
import { decoderGraph } from "../../src/pipeline/decoderGraph.js";
import { latentFactor, type ModelConfig } from "../../src/pipeline/modelConfig.js";
import { settingsFor } from "../../src/pipeline/settings.js";
import type { WeightBuffers } from "../../src/pipeline/upload.js";
import { graphOptions } from "../../src/plan/options.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import { relativeError } from "./float64.js";
import { randomCheckpoint } from "./randomModel.js";
import { numbers, type Subject } from "./subject.js";

interface Network {
  readonly component: Component;
  /** Records it; `inputs` are written before it runs. */
  readonly record: (settings: GraphOptions) => {
    readonly graph: Graph;
    readonly output: Tensor;
    readonly inputs: ReadonlyMap<Tensor, Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>;
  };
}

/** Errors by the ids of rows. */
export async function modelErrors(
  { engine, config }: Subject,
  side: number,
  only: (id: string) => boolean,
): Promise<Map<string, number>> {
  const { device, dtype } = engine;
  const errors = new Map<string, number>();
  const settings = await settingsFor(device, dtype);
  const reference: GraphOptions = {
    ...graphOptions(device, "f32"),
    software: device.features.software || dtype === "f32",
  };
  if (dtype === "f32" && device.features.software) return errors; // they would be the same program
  // A GPU's driver refuses the form for CPUs with the decoder's heads of 512 channels.
  const compiles = (network: Network) =>
    !reference.software || device.features.software || network.component !== "decoder";
  const wanted = [...networks(config, side)].filter(([id, network]) => only(id) && compiles(network));
  for (const component of new Set(wanted.map(([, network]) => network.component))) {
    const own = wanted.filter(([, network]) => network.component === component);
    const outputs: Awaited<ReturnType<typeof outputOf>>[][] = [];
    for (const s of [settings, reference]) {
      const weights = await uploadComponent(device, await randomCheckpoint(config), component, s);
      const results: (typeof outputs)[number] = [];
      for (const [, network] of own) results.push(await outputOf(device, network, weights, s));
      outputs.push(results);
      weights.dispose();
    }
    for (const [i, [id]] of own.entries()) errors.set(id, relativeError(outputs[0]![i]!, outputs[1]![i]!));
  }
  return errors;
}

function networks(config: ModelConfig, side: number): Map<string, Network> {
  const size = side / latentFactor(config);
  const { inChannels, contextWidth = 0, outChannels } = config.unet;
  const half = (values: Float32Array<ArrayBuffer>) => values.map((v) => fromHalf(toHalf(v)));
  const denoiser = (batch: number): Network => ({
    component: "unet",
    record(settings) {
      const graph = new Graph(settings);
      const x = graph.input("latent", [batch, size, size, inChannels], "f32", "step");
      const t = graph.input("timesteps", [batch], "f32", "step");
      const context = graph.input("context", [batch, 77, contextWidth], settings.dtype, "prompt");
      const output = graph.output(unet(new Scope(graph), x, t, { context }, config.unet));
      const inputs = new Map([
        [x, numbers(sizeOf(x.shape), 11)],
        [t, new Float32Array(batch).fill(501)],
        [context, half(numbers(sizeOf(context.shape), 12))],
      ]);
      return { graph, output, inputs };
    },
  });
  const text: Network = {
    component: "conditioner",
    record(settings) {
      const { graph, ids, context } = contextGraph(config, 2, settings);
      return { graph, output: context, inputs: new Map([[ids, Uint32Array.from({ length: 154 }, (_, i) => i)]]) };
    },
  };
  const decoder: Network = {
    component: "decoder",
    record(settings) {
      const shape = { images: 1, height: size, width: size };
      const { graph, latent, picture } = decoderGraph(config.firstStage!, shape, settings, decodeLatent);
      return { graph, output: picture, inputs: new Map([[latent, numbers(size * size * outChannels, 4)]]) };
    },
  };
  return new Map([
    ["text encoder batch 2", text],
    ["UNet step batch 1", denoiser(1)],
    ["UNet step batch 2", denoiser(2)],
    [`VAE decode ${side}`, decoder],
  ]);
}

async function outputOf(device: Device, network: Network, weights: WeightBuffers, settings: GraphOptions) {
  const { graph, output, inputs } = network.record(settings);
  const pool = new SlotPool(device);
  let plan: Plan | undefined;
  try {
    plan = await Plan.compile(device, graph, { pool, weights: weights.buffers });
    for (const [tensor, values] of inputs) {
      plan.write(tensor, tensor.dtype === "f16" ? Uint16Array.from(values, toHalf) : values);
    }
    for (const phase of ["prompt", "step"] as const) if (plan.count(phase) > 0) plan.run(phase);
    return await plan.read(output);
  } finally {
    plan?.dispose();
    pool.dispose();
  }
}
