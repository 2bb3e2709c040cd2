import { expect, it } from "vitest";
import { float64Net } from "../../bench/peers/float64Net.js";
import { type OnnxParts, onnxNet } from "../../bench/peers/onnxNet.js";
import { encodeModel } from "../../bench/peers/onnxProto.js";
import { recordUnet, unetTask } from "../../bench/peers/tasks.js";
import { unetNet } from "../../bench/peers/unetNet.js";
import { tiny } from "../../bench/speed/tinyConfig.js";

/** Fields of a protocol buffer: numbers, and the bytes of what has a length. */
function fields(bytes: Uint8Array): { readonly field: number; readonly value: number | Uint8Array }[] {
  const found: { field: number; value: number | Uint8Array }[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    if (key % 8 === 0) found.push({ field: key >> 3, value: varint() });
    else {
      const length = key % 8 === 5 ? 4 : varint();
      found.push({ field: key >> 3, value: bytes.subarray(at, at + length) });
      at += length;
    }
  }
  return found;
}

const text = (value: number | Uint8Array | undefined) => new TextDecoder().decode(value as Uint8Array);
const all = (bytes: Uint8Array, field: number) =>
  fields(bytes)
    .filter((f) => f.field === field)
    .map((f) => f.value);

it("asks for the weights that this engine's denoiser has, and uses each", () => {
  const names = recordUnet(tiny.unet, 8, 1, "f32")
    .graph.requests()
    .map(({ name }) => name);
  const asked = new Set<string>();
  const task = unetTask(tiny.unet, 8, 1, "f32");
  const net = float64Net((name) => {
    asked.add(name);
    return task.weight(name);
  });
  const inputs = [...task.inputs.values()].map(({ shape, values }) => ({
    shape,
    v: { shape, values: Float64Array.from(values) },
  }));
  const { shape } = unetNet(net, tiny.unet, inputs[0]!, inputs[1]!, inputs[2]!);
  expect([...asked].sort()).toEqual([...names].sort());
  expect(shape).toEqual([1, 8, 8, 4]);
});

it.each([true, false])("writes a graph whose every input is there before it is read (fused: %s)", (fused) => {
  const task = unetTask(tiny.unet, 8, 1, "f16");
  const parts: OnnxParts = { nodes: [], tensors: [] };
  const inputs = new Map([...task.inputs].map(([name, { shape }]) => [name, { shape, v: name }]));
  const { v, shape } = task.record(onnxNet(parts, task.weight, "f16", fused), inputs);
  const { model, weights } = encodeModel({ ...parts, inputs: [], outputs: [{ name: v, type: "f16", shape }] });
  const [graph] = all(model, 7) as [Uint8Array];
  const tensors = all(graph, 5) as Uint8Array[];
  const known = new Set(["", ...inputs.keys(), ...tensors.map((t) => text(all(t, 8)[0]))]);
  for (const node of all(graph, 1) as Uint8Array[]) {
    const missing = all(node, 1)
      .map(text)
      .filter((name) => !known.has(name));
    expect(missing, text(all(node, 4)[0])).toEqual([]);
    for (const name of all(node, 2).map(text)) known.add(name);
  }
  expect(known.has(v)).toBe(true);
  const places = tensors.flatMap((t) => {
    const entries = new Map((all(t, 13) as Uint8Array[]).map((e) => [text(all(e, 1)[0]), text(all(e, 2)[0])]));
    return entries.size > 0 ? [Number(entries.get("offset")) + Number(entries.get("length"))] : [];
  });
  expect(places.length).toBeGreaterThan(10);
  expect(Math.max(...places)).toBeLessThanOrEqual(weights.length);
});
