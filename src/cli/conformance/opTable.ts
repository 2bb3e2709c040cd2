import { invariant } from "../../core/invariant.js";
import type { Fields } from "../../core/json.js";
import type { Tensor } from "../../graph/graph.js";
import { type Activation, activation } from "../../ops/activation.js";
import { conv2d } from "../../ops/conv2d.js";
import { gaussian } from "../../ops/gaussian.js";
import { groupNorm } from "../../ops/groupNorm.js";
import { layerNorm } from "../../ops/layerNorm.js";
import { linear } from "../../ops/linear.js";
import { averagePool, resizeNearest } from "../../ops/resize.js";
import { resizeBilinear } from "../../ops/resizeBilinear.js";
import { softmax } from "../../ops/softmax.js";
import { timestepEmbedding } from "../../ops/timestepEmbedding.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import type { Precision } from "./compare.js";
import type { GoldenFile } from "./goldenFile.js";
import type { Lab, Recorder } from "./lab.js";
import type { LimitName } from "./limits.js";
import { channelsFirst, channelsLast, type Values } from "./values.js";

export interface OpContext {
  readonly id: string;
  readonly file: GoldenFile;
  readonly params: Fields;
  readonly lab: Lab;
}

/** How an operation of the reference data runs on our kernels. */
export interface Op {
  readonly limit: LimitName;
  run(context: OpContext, precision: Precision): Promise<Values>;
}

/** Records the operation: `input` gives a tensor of the case, `size` the shape of a weight. */
type Record_ = (
  recorder: Recorder,
  params: Fields,
  input: (name: string) => Tensor,
  weight: (name: string) => readonly number[] | undefined,
) => Tensor;

/** Inputs that are weights of the operation, and so go through the upload. */
const weightNames = ["weight", "bias"];

function op(limit: LimitName, layout: "image" | "plain", record: Record_): Op {
  return {
    limit,
    async run({ id, file, params, lab }, precision) {
      const prefix = `${id}.in.`;
      const names = file.names(prefix).map((name) => name.slice(prefix.length));
      const values = new Map<string, Values>();
      const weights = new Map<string, StoredTensor>();
      for (const name of names) {
        if (weightNames.includes(name)) weights.set(name, file.renamed(prefix + name, name));
        else {
          const read = await file.values(prefix + name);
          values.set(name, layout === "image" ? channelsLast(read) : read);
        }
      }
      const { y } = await lab.run({ dtype: precision, weights, component: id }, (recorder) => {
        const input = (name: string, dtype = recorder.graph.dtype) => {
          const value = values.get(name);
          invariant(value, () => `${file.path} lacks the tensor ${prefix}${name}`);
          return recorder.input(value, name === "t" || name === "noise" ? "f32" : dtype);
        };
        return { y: record(recorder, params, input, (name) => weights.get(name)?.shape) };
      });
      return layout === "image" ? channelsFirst(y) : y;
    },
  };
}

const pointwise = (act: Activation): Op => op("pointwise", "plain", (_, __, input) => activation(input("x"), act));

/** A weight's first axis. */
function rows(weight: (name: string) => readonly number[] | undefined): number {
  const shape = weight("weight");
  invariant(shape, "the tensor in.weight is missing");
  return shape[0]!;
}

/** The operations of the reference data by the names it gives them. */
export const opTable: Readonly<Record<string, Op>> = {
  conv2d: op("conv2d", "image", ({ scope }, params, input, weight) => {
    const pads = params.raw("pad_left_right_top_bottom") as [number, number, number, number] | undefined;
    const options = { out: rows(weight), kernel: weight("weight")!.at(-1)!, bias: weight("bias") !== undefined };
    return conv2d(input("x"), scope, { ...options, stride: params.count("stride", 1), ...(pads ? { pad: pads } : {}) });
  }),
  group_norm: op("group_norm", "image", ({ scope }, params, input) => {
    const act = params.boolean("silu_after", false) ? "silu" : "none";
    return groupNorm(input("x"), scope, { groups: params.count("groups"), eps: params.number("eps"), act });
  }),
  layer_norm: op("layer_norm", "plain", ({ scope }, params, input) =>
    layerNorm(input("x"), scope, { eps: params.number("eps") }),
  ),
  linear: op("linear", "plain", ({ scope }, _, input, weight) =>
    linear(input("x"), scope, { out: rows(weight), bias: weight("bias") !== undefined }),
  ),
  geglu: op("geglu", "plain", ({ scope }, _, input, weight) =>
    linear(input("x"), scope, { out: rows(weight) / 2, bias: weight("bias") !== undefined, act: "gelu", gated: true }),
  ),
  gelu_erf: pointwise("gelu"),
  gelu_tanh: pointwise("geluTanh"),
  quick_gelu: pointwise("quickGelu"),
  silu: pointwise("silu"),
  softmax: op("softmax", "plain", (_, __, input) => softmax(input("x"))),
  upsample_nearest: op("resize", "image", (_, params, input) => {
    const [height, width] = params.counts("size") as [number, number];
    return resizeNearest(input("x"), [height, width]);
  }),
  downsample_bilinear_half: op("resize", "image", (_, params, input) => {
    const x = input("x");
    const scale = params.number("scale_factor", 0.5);
    return resizeBilinear(x, [Math.floor(x.shape[1]! * scale), Math.floor(x.shape[2]! * scale)], scale);
  }),
  avg_pool2: op("resize", "image", (_, __, input) => averagePool(input("x"))),
  timestep_embedding: op("timestep_embedding", "plain", (_, params, input) =>
    timestepEmbedding(input("t"), {
      channels: params.count("dim"),
      cosineFirst: params.boolean("flip_sin_to_cos", true),
      frequencyShift: params.number("downscale_freq_shift", 0),
      maxPeriod: params.number("max_period", 10000),
    }),
  ),
  gaussian_moments: op("gaussian", "image", (_, __, input) => gaussian(input("moments"), { noise: input("noise") })),
};
