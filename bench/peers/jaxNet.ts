import { type Array as JaxArray, lax, nn, numpy as np } from "@jax-js/jax";
import { convShape, type Net, picture, type Value } from "./net.js";

/**
 * Traced once and compiled. Pictures are channel first, as jax-js convolves them. A value that is used is counted down, so
 * each use counts it up first.
 */
export function jaxNet(parameter: (name: string) => JaxArray): Net<JaxArray> {
  const value = (shape: readonly number[], v: JaxArray): Value<JaxArray> => ({ shape, v });
  const sizes = (shape: readonly number[]) => {
    const [n, height, width, channels] = picture(shape);
    return { n, height, width, channels };
  };
  const normed = (x: JaxArray, axis: number, eps: number) => {
    const centred = x.ref.sub(x.ref.mean(axis, { keepdims: true }));
    const variance = centred.ref.mul(centred.ref).mean(axis, { keepdims: true });
    return centred.ref.div(np.sqrt(variance.add(eps)));
  };
  const heads = (x: Value<JaxArray>, count: number, perm: readonly number[]) => {
    const [n, tokens, width] = x.shape as readonly [number, number, number];
    return x.v.ref.reshape([n, tokens, count, width / count]).transpose(perm);
  };
  return {
    conv(x, name, options) {
      const { kernel = 3, stride = 1, out } = options;
      const half = Math.floor(kernel / 2);
      const pad = [half, half] as const;
      const y = lax.convGeneralDilated(x.v.ref, parameter(`${name}.weight`).ref, [stride, stride], [pad, pad]);
      const bias = parameter(`${name}.bias`).ref.reshape([1, out, 1, 1]);
      return value(convShape(x.shape, options), y.add(bias));
    },
    linear(x, name, out, bias) {
      const product = np.matmul(x.v.ref, parameter(`${name}.weight`).ref.transpose([1, 0]));
      return value([...x.shape.slice(0, -1), out], bias ? product.add(parameter(`${name}.bias`).ref) : product);
    },
    groupNorm(x, name, groups, eps) {
      const { n, height, width, channels } = sizes(x.shape);
      const rows = x.v.ref.reshape([n, groups, (channels / groups) * height * width]);
      const back = normed(rows, 2, eps).reshape([n, channels, height, width]);
      const over = (part: string) => parameter(`${name}.${part}`).ref.reshape([1, channels, 1, 1]);
      return value(x.shape, back.mul(over("weight")).add(over("bias")));
    },
    layerNorm(x, name, eps) {
      const y = normed(x.v, x.shape.length - 1, eps);
      return value(x.shape, y.mul(parameter(`${name}.weight`).ref).add(parameter(`${name}.bias`).ref));
    },
    attention(q, k, v, count) {
      const size = q.shape[2]! / count;
      const scores = np.matmul(heads(q, count, [0, 2, 1, 3]), heads(k, count, [0, 2, 3, 1])).mul(size ** -0.5);
      const y = np.matmul(nn.softmax(scores, -1), heads(v, count, [0, 2, 1, 3]));
      return value(q.shape, y.transpose([0, 2, 1, 3]).reshape(q.shape));
    },
    silu: (x) => value(x.shape, nn.silu(x.v.ref)),
    geglu(x) {
      const axis = x.shape.length - 1;
      const [a, b] = np.split(x.v.ref, 2, axis) as [JaxArray, JaxArray];
      return value([...x.shape.slice(0, -1), x.shape[axis]! / 2], a.mul(nn.gelu(b, { approximate: false })));
    },
    add: (a, b) => value(a.shape, a.v.ref.add(b.v.ref)),
    addChannels: (x, row) => value(x.shape, x.v.ref.add(row.v.ref.reshape([x.shape[0]!, x.shape[3]!, 1, 1]))),
    concat: (a, b) => {
      const shape = [...a.shape.slice(0, 3), a.shape[3]! + b.shape[3]!];
      return value(shape, np.concatenate([a.v.ref, b.v.ref], 1));
    },
    upsample(x) {
      const { n, height, width, channels } = sizes(x.shape);
      const y = np.repeat(np.repeat(x.v.ref, 2, 2), 2, 3);
      return value([n, 2 * height, 2 * width, channels], y);
    },
    tokens(x) {
      const { n, height, width, channels } = sizes(x.shape);
      const shape = [n, height * width, channels];
      return value(shape, x.v.ref.transpose([0, 2, 3, 1]).reshape(shape));
    },
    picture(x, height, width) {
      const [n, , channels] = x.shape as readonly [number, number, number];
      const last = x.v.ref.reshape([n, height, width, channels]);
      return value([n, height, width, channels], last.transpose([0, 3, 1, 2]));
    },
  };
}
