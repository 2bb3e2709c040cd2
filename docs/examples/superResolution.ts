// A network that is not ours, on webldm/core: ESRGAN-slim x2 of the npm package @upscalerjs/default-model (MIT), a small
// residual dense network (https://arxiv.org/abs/1802.08797), with its weights as TensorFlow.js stores them.

import type { Conv2dOptions, Device, StoredTensor, Tensor } from "webldm/core";
import { concat, conv2d, fromBytes, Graph, graphOptions, Plan, Scope, SlotPool, uploadWeights } from "webldm/core";

type Floats = Float32Array<ArrayBuffer>;

/** The layers, by their names in the file. [1, H, W, 3] to [1, 2H, 2W, 3], values from 0 to 255. */
function network(picture: Tensor, weights: Scope): Tensor {
  const conv = (name: string, x: Tensor, out: number, options: Omit<Conv2dOptions, "out"> = {}) =>
    conv2d(x, weights.at(name), { out, ...options });
  const block = (i: number, x: Tensor) => {
    const grown = concat(x, conv(`F_${i}_1`, x, 4, { act: "relu" }));
    return conv(`LFF_${i}`, grown, 64, { kernel: 1, residual: x });
  };
  const [, height = 1, width = 1] = picture.shape;
  const shallow = conv("F_m1", picture, 64);
  const first = block(1, conv("F_0", shallow, 64));
  const fused = conv("GFF_1", concat(first, block(2, first)), 64, { kernel: 1 });
  const deep = conv("GFF_2", fused, 64, { residual: shallow });
  const wide = conv("UPN2", conv("UPN1", deep, 64, { kernel: 5, act: "relu" }), 32, { act: "relu" });
  return conv("SR", conv("UPN3", wide, 12), 3, { resize: [2 * height, 2 * width] });
}

/** Weights as the engine reads them: kernels [KH, KW, I, O] become [O, I, KH, KW]. */
export function readLayers(layers: readonly { name: string; shape: number[] }[], file: Floats) {
  const tensors = new Map<string, StoredTensor>();
  let begin = 0;
  for (const { name, shape } of layers) {
    const [out = 1, inner = 1, kw = 1, kh = 1] = shape.toReversed();
    const taps = kh * kw;
    const values = file.subarray(begin, begin + out * inner * taps);
    begin += values.length;
    const from = (o: number, i: number, tap: number) => values[(tap * inner + i) * out + o]!;
    const moved = values.map((_, at) => from(Math.floor(at / taps / inner), Math.floor(at / taps) % inner, at % taps));
    const key = name.replace("/kernel", ".weight").replace("/bias", ".bias");
    const source = fromBytes(moved.buffer, key);
    const order = shape.length === 1 ? shape : [out, inner, kh, kw];
    tensors.set(key, { name: key, dtype: "F32", shape: order, source, begin: 0, end: source.size });
  }
  return tensors;
}

/** Doubles a picture of R, G, B from 0 to 255, row by row; so is the result. */
export async function enlarge(device: Device, weights: Map<string, StoredTensor>, pixels: Floats, width: number) {
  const graph = new Graph(graphOptions(device, "f32"));
  const input = graph.input("picture", [1, pixels.length / 3 / width, width, 3], "f32", "step");
  const output = graph.output(network(input, new Scope(graph)));
  const uploaded = await uploadWeights(device, graph.requests(), weights, { component: "super-resolution" });
  const pool = new SlotPool(device);
  const plan = await Plan.compile(device, graph, { pool, weights: uploaded.buffers });
  plan.write(input, pixels);
  plan.run("step");
  const doubled = await plan.read(output);
  for (const owner of [plan, pool, uploaded]) owner.dispose();
  return doubled;
}
