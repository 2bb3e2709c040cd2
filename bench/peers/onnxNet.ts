// Networks as ONNX graphs, the way exporters write them: pictures channel first, group norm by instance norm.
import { toHalf } from "../../src/core/half.js";
import { type ConvOptions, convShape, type Net, type Numbers, picture, type Value } from "./net.js";
import type { Attribute, OnnxNode, OnnxTensor } from "./onnxProto.js";

export interface OnnxParts {
  readonly nodes: OnnxNode[];
  readonly tensors: OnnxTensor[];
}

/** Values are names. `fused`: attention as one operator of ONNX Runtime's own, else two products and a softmax. */
export function onnxNet(
  parts: OnnxParts,
  weight: (name: string) => Numbers,
  dtype: "f32" | "f16",
  fused: boolean,
): Net<string> {
  const known = new Set<string>();
  type Elements = Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
  const elements = (numbers: Numbers): Elements =>
    dtype === "f32" ? numbers.values : (numbers.halves ?? Uint16Array.from(numbers.values, toHalf));
  /** `make` is asked for its elements once. */
  const constant = (name: string, shape: readonly number[], make: () => Elements): string => {
    if (!known.has(name)) {
      parts.tensors.push({ name, type: dtype, shape, bytes: new Uint8Array(make().buffer) });
      known.add(name);
    }
    return name;
  };
  const plain = (name: string, numbers: Numbers) => constant(name, numbers.shape, () => elements(numbers));
  const integers = (values: readonly number[]): string => {
    const name = `integers ${values.join()}`;
    if (!known.has(name)) {
      const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      parts.tensors.push({ name, type: "i64", shape: [values.length], bytes });
      known.add(name);
    }
    return name;
  };
  const filled = (length: number, value: number): string =>
    plain(`${length} of ${value}`, { shape: [length], values: new Float32Array(length).fill(value) });
  const emit = (
    op: string,
    inputs: string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain?: string,
  ) => {
    const name = `v${parts.nodes.length}`;
    parts.nodes.push({ op, inputs, outputs: [name], attributes, ...(domain ? { domain } : {}) });
    return name;
  };
  const parameter = (name: string) => plain(name, weight(name));
  /** A vector that is added to, or multiplied with, the channels of a picture. */
  const channelwise = (name: string) => {
    const numbers = weight(name);
    return constant(`${name} over pixels`, [1, numbers.shape[0]!, 1, 1], () => elements(numbers));
  };
  /** Matrices [O, I] multiply from the right as [I, O]. */
  const transposed = (name: string) => {
    const numbers = weight(name);
    const [out, inner] = numbers.shape as readonly [number, number];
    return constant(`${name} transposed`, [inner, out], () => {
      const from = elements(numbers);
      const turned = from.slice();
      for (let o = 0; o < out; o++) for (let i = 0; i < inner; i++) turned[i * out + o] = from[o * inner + i]!;
      return turned;
    });
  };

  const conv = (x: Value<string>, name: string, options: ConvOptions): Value<string> => {
    const { kernel = 3, stride = 1 } = options;
    const half = Math.floor(kernel / 2);
    const v = emit("Conv", [x.v, parameter(`${name}.weight`), parameter(`${name}.bias`)], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [half, half, half, half],
    });
    return { shape: convShape(x.shape, options), v };
  };
  const attentionOf = (q: Value<string>, k: Value<string>, v: Value<string>, heads: number): string => {
    if (fused) return emit("MultiHeadAttention", [q.v, k.v, v.v], { num_heads: heads }, "com.microsoft");
    const [n, queries, width] = q.shape as readonly [number, number, number];
    const size = width / heads;
    const split = (x: Value<string>, perm: number[]) =>
      emit("Transpose", [emit("Reshape", [x.v, integers([n, x.shape[1]!, heads, size])])], { perm });
    const scale = plain(`scale ${size}`, { shape: [1], values: Float32Array.of(size ** -0.5) });
    const scaled = emit("Mul", [split(q, [0, 2, 1, 3]), scale]);
    const shares = emit("Softmax", [emit("MatMul", [scaled, split(k, [0, 2, 3, 1])])], { axis: 3 });
    const y = emit("Transpose", [emit("MatMul", [shares, split(v, [0, 2, 1, 3])])], { perm: [0, 2, 1, 3] });
    return emit("Reshape", [y, integers([n, queries, width])]);
  };

  return {
    conv,
    linear(x, name, out, bias) {
      const product = emit("MatMul", [x.v, transposed(`${name}.weight`)]);
      const v = bias ? emit("Add", [product, parameter(`${name}.bias`)]) : product;
      return { shape: [...x.shape.slice(0, -1), out], v };
    },
    groupNorm(x, name, groups, eps) {
      const [n, height, width, channels] = picture(x.shape);
      const rows = emit("Reshape", [x.v, integers([n, groups, (channels / groups) * height * width])]);
      const normed = emit("InstanceNormalization", [rows, filled(groups, 1), filled(groups, 0)], {
        epsilon: { float: eps },
      });
      const back = emit("Reshape", [normed, integers([n, channels, height, width])]);
      const factor = emit("Mul", [back, channelwise(`${name}.weight`)]);
      return { shape: x.shape, v: emit("Add", [factor, channelwise(`${name}.bias`)]) };
    },
    layerNorm(x, name, eps) {
      const inputs = [x.v, parameter(`${name}.weight`), parameter(`${name}.bias`)];
      return {
        shape: x.shape,
        v: emit("LayerNormalization", inputs, { axis: x.shape.length - 1, epsilon: { float: eps } }),
      };
    },
    attention: (q, k, v, heads) => ({ shape: q.shape, v: attentionOf(q, k, v, heads) }),
    silu: (x) => ({ shape: x.shape, v: emit("Mul", [x.v, emit("Sigmoid", [x.v])]) }),
    geglu(x) {
      const axis = x.shape.length - 1;
      const channels = x.shape[axis]! / 2;
      const part = (from: number) =>
        emit("Slice", [x.v, integers([from]), integers([from + channels]), integers([axis])]);
      const v = emit("Mul", [part(0), emit("Gelu", [part(channels)])]);
      return { shape: [...x.shape.slice(0, -1), channels], v };
    },
    add: (a, b) => ({ shape: a.shape, v: emit("Add", [a.v, b.v]) }),
    addChannels: (x, row) => {
      const over = emit("Reshape", [row.v, integers([x.shape[0]!, x.shape[3]!, 1, 1])]);
      return { shape: x.shape, v: emit("Add", [x.v, over]) };
    },
    concat: (a, b) => ({
      shape: [...a.shape.slice(0, 3), a.shape[3]! + b.shape[3]!],
      v: emit("Concat", [a.v, b.v], { axis: 1 }),
    }),
    upsample(x) {
      const [n, height, width, channels] = picture(x.shape);
      const sizes = integers([n, channels, 2 * height, 2 * width]);
      const v = emit("Resize", [x.v, "", "", sizes], {
        mode: "nearest",
        nearest_mode: "floor",
        coordinate_transformation_mode: "asymmetric",
      });
      return { shape: [n, 2 * height, 2 * width, channels], v };
    },
    tokens(x) {
      const [n, height, width, channels] = picture(x.shape);
      const last = emit("Transpose", [x.v], { perm: [0, 2, 3, 1] });
      const shape = [n, height * width, channels];
      return { shape, v: emit("Reshape", [last, integers(shape)]) };
    },
    picture(x, height, width) {
      const [n, , channels] = x.shape as readonly [number, number, number];
      const last = emit("Reshape", [x.v, integers([n, height, width, channels])]);
      return { shape: [n, height, width, channels], v: emit("Transpose", [last], { perm: [0, 3, 1, 2] }) };
    },
  };
}
