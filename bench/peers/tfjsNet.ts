import * as tf from "@tensorflow/tfjs-core";
import { convShape, type Net, type Numbers, picture, type Value } from "./net.js";

/** Weights on the device, by what an engine makes of them. */
export interface TfjsWeights {
  get(name: string, make: (numbers: Numbers) => Numbers): tf.Tensor;
  dispose(): void;
}

export function tfjsWeights(weight: (name: string) => Numbers): TfjsWeights {
  const known = new Map<string, tf.Tensor>();
  return {
    get(name, make) {
      let tensor = known.get(name);
      if (!tensor) {
        const { values, shape } = make(weight(name));
        tensor = tf.tensor(values, shape);
        known.set(name, tensor);
      }
      return tensor;
    },
    dispose() {
      for (const tensor of known.values()) tensor.dispose();
    },
  };
}

const asIs = (numbers: Numbers) => numbers;

/** [O, I, KH, KW] to [KH, KW, I, O]. */
function filter({ shape, values }: Numbers): Numbers {
  const [out, inner, height, width] = shape as [number, number, number, number];
  const turned = new Float32Array(values.length);
  for (let o = 0; o < out; o++) {
    for (let i = 0; i < inner; i++) {
      for (let k = 0; k < height * width; k++) {
        turned[(k * inner + i) * out + o] = values[(o * inner + i) * height * width + k]!;
      }
    }
  }
  return { shape: [height, width, inner, out], values: turned };
}

/** Runs operators as it goes, in tfjs's own layout, which is channel last as well. */
export function tfjsNet(weights: TfjsWeights): Net<tf.Tensor> {
  const value = (v: tf.Tensor): Value<tf.Tensor> => ({ shape: v.shape, v });
  const parameter = (name: string) => weights.get(name, asIs);
  const normed = (x: tf.Tensor, axes: readonly number[], eps: number) => {
    const { mean, variance } = tf.moments(x, axes, true);
    return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, eps)));
  };
  const affine = (x: tf.Tensor, name: string) =>
    tf.add(tf.mul(x, parameter(`${name}.weight`)), parameter(`${name}.bias`));
  const heads = (x: Value<tf.Tensor>, count: number) => {
    const [n, tokens, width] = x.shape as readonly [number, number, number];
    return tf.transpose(tf.reshape(x.v, [n, tokens, count, width / count]), [0, 2, 1, 3]);
  };
  return {
    conv(x, name, options) {
      const { kernel = 3, stride = 1 } = options;
      const v = tf.fused.conv2d({
        x: x.v,
        filter: weights.get(`${name}.weight`, filter),
        bias: parameter(`${name}.bias`),
        strides: stride,
        pad: Math.floor(kernel / 2),
        dataFormat: "NHWC",
      });
      return { shape: convShape(x.shape, options), v };
    },
    linear(x, name, out, bias) {
      const inner = x.shape.at(-1)!;
      const rows = x.shape.reduce((a, b) => a * b) / inner;
      const v = tf.fused.matMul({
        a: tf.reshape(x.v, [rows, inner]),
        b: parameter(`${name}.weight`),
        transposeB: true,
        ...(bias ? { bias: parameter(`${name}.bias`) } : {}),
      });
      return value(tf.reshape(v, [...x.shape.slice(0, -1), out]));
    },
    groupNorm(x, name, groups, eps) {
      const [n, height, width, channels] = picture(x.shape);
      const grouped = tf.reshape(x.v, [n, height * width, groups, channels / groups]);
      return value(affine(tf.reshape(normed(grouped, [1, 3], eps), x.shape), name));
    },
    layerNorm: (x, name, eps) => value(affine(normed(x.v, [x.shape.length - 1], eps), name)),
    attention(q, k, v, count) {
      const size = q.shape[2]! / count;
      const scores = tf.matMul(tf.mul(heads(q, count), size ** -0.5), heads(k, count), false, true);
      const y = tf.matMul(tf.softmax(scores, 3), heads(v, count));
      return value(tf.reshape(tf.transpose(y, [0, 2, 1, 3]), q.shape));
    },
    silu: (x) => value(tf.mul(x.v, tf.sigmoid(x.v))),
    geglu(x) {
      const [a, b] = tf.split(x.v, 2, x.shape.length - 1) as [tf.Tensor, tf.Tensor];
      const gelu = tf.mul(tf.mul(b, 0.5), tf.add(tf.erf(tf.mul(b, Math.SQRT1_2)), 1));
      return value(tf.mul(a, gelu));
    },
    add: (a, b) => value(tf.add(a.v, b.v)),
    addChannels: (x, row) => value(tf.add(x.v, tf.reshape(row.v, [x.shape[0]!, 1, 1, x.shape[3]!]))),
    concat: (a, b) => value(tf.concat([a.v, b.v], 3)),
    upsample: (x) => value(tf.image.resizeNearestNeighbor(x.v, [2 * x.shape[1]!, 2 * x.shape[2]!])),
    tokens: (x) => value(tf.reshape(x.v, [x.shape[0]!, x.shape[1]! * x.shape[2]!, x.shape[3]!])),
    picture: (x, height, width) => value(tf.reshape(x.v, [x.shape[0]!, height, width, x.shape[2]!])),
  };
}
