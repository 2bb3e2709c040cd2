// An operator of `opCases.ts` by this engine, compiled and with its inputs on the device.
import { toHalf } from "../../src/core/half.js";
import { sizeOf } from "../../src/core/shape.js";
import type { Device } from "../../src/gpu/device.js";
import { Graph, type Tensor } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { attention } from "../../src/ops/attention.js";
import { conv2d } from "../../src/ops/conv2d.js";
import { groupNorm } from "../../src/ops/groupNorm.js";
import { layerNorm } from "../../src/ops/layerNorm.js";
import { linear } from "../../src/ops/linear.js";
import { settingsFor } from "../../src/pipeline/settings.js";
import { uploadWeights } from "../../src/pipeline/upload.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import { fromBytes } from "../../src/weights/byteSource.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { relativeError, sampled } from "./float64.js";
import { eps, type Given, type OpCase } from "./opCases.js";
import { Filler, valuesOf } from "./random.js";

export interface OpPlan {
  readonly plan: Plan;
  output(): Promise<ArrayLike<number>>;
  /** Relative error of sampled outputs against float64. */
  error(): Promise<number>;
  dispose(): void;
}

function halvesOf(values: Float32Array): Uint16Array<ArrayBuffer> {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = toHalf(values[i]!);
  return halves;
}

/** In float16, which holds these numbers exactly; norms' scales, which it does not, in float32. */
function stored(name: string, { shape, spread }: Given): StoredTensor {
  const values = valuesOf(sizeOf(shape), spread);
  const exact = shape.length > 1;
  const bytes = new Uint8Array(exact ? halvesOf(values).buffer : values.buffer);
  const source = fromBytes(bytes, name);
  return { name, dtype: exact ? "F16" : "F32", shape, source, begin: 0, end: source.size };
}

function record(graph: Graph, item: OpCase, inputs: ReadonlyMap<string, Tensor>): Tensor {
  const w = new Scope(graph);
  const x = inputs.get("x")!;
  switch (item.op) {
    case "conv":
      return conv2d(x, w, { out: item.out[3]! });
    case "linear":
      return linear(x, w, { out: item.out[2]! });
    case "attention":
      return attention(inputs.get("q")!, inputs.get("k")!, inputs.get("v")!, { heads: item.heads });
    case "groupNormSilu":
      return groupNorm(x, w, { groups: item.groups, eps, act: "silu" });
    case "layerNorm":
      return layerNorm(x, w, { eps });
    case "geglu":
      return linear(x, w, { out: item.out[2]!, act: "gelu", gated: true });
  }
}

export async function planOf(device: Device, dtype: "f32" | "f16", item: OpCase): Promise<OpPlan> {
  const graph = new Graph(await settingsFor(device, dtype));
  const isWeight = (name: string) => name === "weight" || name === "bias";
  const inputs = new Map<string, Tensor>();
  for (const [name, { shape }] of Object.entries(item.inputs)) {
    if (!isWeight(name)) inputs.set(name, graph.input(name, shape, dtype, "step"));
  }
  const y = graph.output(record(graph, item, inputs));
  const weights = new Map(
    Object.entries(item.inputs)
      .filter(([name]) => isWeight(name))
      .map(([name, given]) => [name, stored(name, given)]),
  );
  const uploaded = await uploadWeights(device, graph.requests(), weights, { component: item.id });
  const pool = new SlotPool(device);
  const plan = await Plan.compile(device, graph, { pool, weights: uploaded.buffers });
  const filler = new Filler(device);
  for (const [name, tensor] of inputs) filler.fill(plan.buffer(tensor), dtype, item.inputs[name]!.spread);
  const poisoned = new Uint32Array(plan.buffer(y).size / 4).fill(0xffffffff); // reads as NaN
  device.gpu.queue.writeBuffer(plan.buffer(y), 0, poisoned);
  return {
    plan,
    output: () => plan.read(y),
    async error() {
      device.gpu.queue.writeBuffer(plan.buffer(y), 0, poisoned);
      plan.run("step");
      const values = await plan.read(y);
      const places = sampled(values.length, 256);
      const expected = places.map(item.at);
      // What was not sampled must at least be there.
      return values.every(Number.isFinite)
        ? relativeError(
            places.map((i) => values[i]!),
            expected,
          )
        : Number.NaN;
    },
    dispose() {
      plan.dispose();
      pool.dispose();
      uploaded.dispose();
    },
  };
}
