// Operators and networks as tasks for all engines.
import { dtypeBytes } from "../../src/core/dtype.js";
import { sizeOf } from "../../src/core/shape.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { unet } from "../../src/models/unet.js";
import type { UNetConfig } from "../../src/models/unetConfig.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { flopsOf } from "../speed/callWork.js";
import { sampled } from "../speed/float64.js";
import { elementsOf, eps, type Given, type OpCase } from "../speed/opCases.js";
import { valuesOf } from "../speed/random.js";
import { randomSlice } from "../speed/randomModel.js";
import { numbers } from "../speed/subject.js";
import { float64Net } from "./float64Net.js";
import type { Net, Numbers, Task, Value } from "./net.js";
import { unetNet } from "./unetNet.js";

const given = ({ shape, spread }: Given): Numbers => ({
  shape,
  values: valuesOf(sizeOf(shape), spread),
});

/** An operator of the bench; its weights are `op.weight` and `op.bias`. */
export function opTask(item: OpCase, dtype: "f32" | "f16"): Task {
  const isWeight = (name: string) => name === "weight" || name === "bias";
  const weights = new Map<string, Numbers>();
  const inputs = new Map<string, Numbers>();
  for (const [name, value] of Object.entries(item.inputs)) {
    if (isWeight(name)) weights.set(`op.${name}`, given(value));
    else inputs.set(name, given(value));
  }
  function record<V>(net: Net<V>, values: ReadonlyMap<string, Value<V>>): Value<V> {
    const [x, k, v] = [...values.values()] as [Value<V>, Value<V>, Value<V>];
    switch (item.op) {
      case "conv":
        return net.conv(x, "op", { out: item.out[3]! });
      case "linear":
        return net.linear(x, "op", item.out[2]!, true);
      case "attention":
        return net.attention(x, k, v, item.heads);
      case "groupNormSilu":
        return net.silu(net.groupNorm(x, "op", item.groups, eps));
      case "layerNorm":
        return net.layerNorm(x, "op", eps);
      case "geglu":
        return net.geglu(net.linear(x, "op", 2 * item.out[2]!, true));
    }
  }
  return {
    id: item.id,
    flops: item.flops,
    bytes: elementsOf(item) * dtypeBytes[dtype],
    inputs,
    weight: (name) => weights.get(name)!,
    record,
    expected() {
      const places = sampled(sizeOf(item.out), 256);
      return { places, values: places.map(item.at) };
    },
  };
}

/** The sinusoids of a timestep, [N, channels]. */
function wavesOf(batch: number, channels: number, timestep: number): Numbers {
  const half = channels / 2;
  const row = Array.from({ length: channels }, (_, i) => {
    const angle = timestep * 10000 ** (-(i % half) / half);
    return i < half ? Math.cos(angle) : Math.sin(angle);
  });
  return { shape: [batch, channels], values: Float32Array.from(Array(batch).fill(row).flat()) };
}

export const timestep = 501;
export const contextLength = 77;

/** A denoiser on a latent of `side`, with random weights: all of it in each run, keys and values of the context included. */
export function unetTask(config: UNetConfig, side: number, batch: number, dtype: "f32" | "f16"): Task {
  const { graph, bytes } = recordUnet(config, side, batch, dtype);
  const shapes = new Map(graph.requests().map((request) => [request.name, request]));
  const latent = { shape: [batch, side, side, config.inChannels] };
  const context = { shape: [batch, contextLength, config.contextWidth!] };
  const inputs = new Map<string, Numbers>([
    ["latent", { ...latent, values: numbers(sizeOf(latent.shape), 11) }],
    ["waves", wavesOf(batch, config.down[0]!.channels, timestep)],
    ["context", { ...context, values: numbers(sizeOf(context.shape), 12) }],
  ]);
  const record = <V>(net: Net<V>, values: ReadonlyMap<string, Value<V>>): Value<V> =>
    unetNet(net, config, values.get("latent")!, values.get("waves")!, values.get("context")!);
  const task: Task = {
    id: `UNet ${config.down.map(({ channels }) => channels).join("-")} @${side}x${side} batch ${batch}`,
    flops: graph.calls.reduce((sum, call) => sum + flopsOf(call), 0),
    bytes,
    inputs,
    weight: (name) => lazily(name, shapes.get(name)!.shape),
    record,
    expected() {
      const net = float64Net(task.weight);
      const values = new Map(
        [...inputs].map(([name, { shape, values }]) => [
          name,
          { shape, v: { shape, values: Float64Array.from(values) } },
        ]),
      );
      const { v } = record(net, values);
      return { places: Array.from(v.values.keys()), values: v.values };
    },
  };
  return task;
}

/** Made anew for each who asks, and not kept: those of a large network would not all fit into memory together. */
function lazily(name: string, shape: readonly number[]): Numbers {
  let known: Float32Array<ArrayBuffer> | undefined;
  return {
    shape,
    get values() {
      known ??= toFloat32(randomSlice({ name, shape }), "F16");
      return known;
    },
    get halves() {
      return new Uint16Array(randomSlice({ name, shape }).buffer);
    },
  };
}

/** This engine's own program of the same denoiser; the context belongs to the step here, so that its work is counted. */
export function recordUnet(config: UNetConfig, side: number, batch: number, dtype: "f32" | "f16", settings = {}) {
  const graph = new Graph({ ...settings, dtype });
  const latent = graph.input("latent", [batch, side, side, config.inChannels], "f32", "step");
  const timesteps = graph.input("timesteps", [batch], "f32", "step");
  const context = graph.input("context", [batch, contextLength, config.contextWidth!], dtype, "step");
  const output = graph.output(unet(new Scope(graph), latent, timesteps, { context }, config));
  const bytes = graph.requests().reduce((sum, { shape }) => sum + sizeOf(shape) * dtypeBytes[dtype], 0);
  return { graph, latent, timesteps, context, output, bytes };
}
