import * as reference from "../../test/ops/reference.js";
import { convShape, type Net, type Numbers, type Value } from "./net.js";

type Result = reference.Result;
const value = (v: Result): Value<Result> => ({ shape: v.shape, v });

/** Computes at once, in float64: what all engines are compared with. */
export function float64Net(weight: (name: string) => Numbers): Net<Result> {
  const affine = (name: string) => ({ weight: weight(`${name}.weight`), bias: weight(`${name}.bias`) });
  const shaped = (v: Result, shape: readonly number[]): Value<Result> => value({ shape, values: v.values });
  return {
    conv: (x, name, options) => {
      const { kernel = 3, stride = 1 } = options;
      const half = Math.floor(kernel / 2);
      const y = reference.conv2d(x.v, weight(`${name}.weight`), {
        stride,
        pad: [half, half, half, half],
        bias: weight(`${name}.bias`),
      });
      return shaped(y, convShape(x.shape, options));
    },
    linear: (x, name, _out, bias) =>
      value(reference.linear(x.v, weight(`${name}.weight`), bias ? { bias: weight(`${name}.bias`) } : {})),
    groupNorm: (x, name, groups, eps) => value(reference.groupNorm(x.v, { ...affine(name), groups, eps })),
    layerNorm: (x, name, eps) => value(reference.layerNorm(x.v, { ...affine(name), eps })),
    attention: (q, k, v, heads) => value(reference.attention(q.v, k.v, v.v, { heads })),
    silu: (x) => value(reference.map(x.v, (v) => reference.activate("silu", v))),
    geglu: (x) => value(reference.gated(x.v, "gelu")),
    add: (a, b) => value(reference.map(a.v, (v, i) => v + b.v.values[i]!)),
    addChannels: (x, row) => {
      const channels = x.shape[3]!;
      const image = x.v.values.length / x.shape[0]!;
      return value(reference.map(x.v, (v, i) => v + row.v.values[Math.floor(i / image) * channels + (i % channels)]!));
    },
    concat: (a, b) => value(reference.concat(a.v, b.v)),
    upsample: (x) => value(reference.resizeNearest(x.v, [2 * x.shape[1]!, 2 * x.shape[2]!])),
    tokens: (x) => shaped(x.v, [x.shape[0]!, x.shape[1]! * x.shape[2]!, x.shape[3]!]),
    picture: (x, height, width) => shaped(x.v, [x.shape[0]!, height, width, x.shape[2]!]),
  };
}
