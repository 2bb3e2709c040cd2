import { expect } from "vitest";
import { dtypeBytes } from "../../src/core/dtype.js";
import { toHalf } from "../../src/core/half.js";
import { alignUp } from "../../src/core/shape.js";
import type { Device } from "../../src/gpu/device.js";
import { readBuffer } from "../../src/gpu/readback.js";
import { linearGrid } from "../../src/graph/graph.js";
import { packSources, packWeightKernel } from "../../src/ops/packWeight.js";
import { decode } from "../../src/plan/plan.js";
import { Bench, channelsLast, forCases, random, rounded, upload } from "../harness/gpu.js";

interface Case {
  readonly shape: readonly [number, number, number, number];
  readonly layout: 0 | 1;
  readonly source: "F32" | "F16" | "BF16";
  /** Elements per piece; even, since a piece starts at a whole word. */
  readonly piece: number;
}

const sources = ["F32", "F16", "BF16"] as const;
const cases: Case[] = sources.flatMap((source) => [
  { source, shape: [5, 7, 3, 3], layout: 0, piece: 1000 },
  { source, shape: [5, 7, 3, 3], layout: 1, piece: 1000 },
  { source, shape: [33, 16, 3, 3], layout: 1, piece: 1024 },
  { source, shape: [33, 16, 3, 3], layout: 0, piece: 1022 },
  { source, shape: [1, 1, 1, 1], layout: 1, piece: 10 },
  { source, shape: [9, 3, 1, 1], layout: 1, piece: 8 },
  { source, shape: [4, 6, 5, 5], layout: 1, piece: 2 * 6 * 25 },
]);

/** Stored bytes, up to a whole word. */
function store(values: Float32Array, source: Case["source"]): Uint8Array<ArrayBuffer> {
  const size = source === "F32" ? 4 : 2;
  const bytes = new Uint8Array(alignUp(values.length * size, 4));
  const view = new DataView(bytes.buffer);
  const bits = new DataView(new ArrayBuffer(4));
  for (const [i, value] of values.entries()) {
    bits.setFloat32(0, value);
    if (source === "F32") view.setFloat32(i * 4, value, true);
    else view.setUint16(i * 2, source === "F16" ? toHalf(value) : bits.getUint16(0), true);
  }
  return bytes;
}

/** Runs the kernel over one piece, as the loader does. */
async function pack(
  device: Device,
  consts: Readonly<Record<string, string | number>>,
  words: GPUBuffer,
  y: GPUBufferBinding,
  params: number[],
) {
  const uniform = device.buffer("params", 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  device.gpu.queue.writeBuffer(uniform, 0, Uint32Array.from(params));
  const group = device.gpu.createBindGroup({
    layout: device.pipelines.layout(packWeightKernel),
    entries: [words, y, uniform].map((resource, binding) => ({
      binding,
      resource: "size" in resource && "buffer" in resource ? resource : { buffer: resource as GPUBuffer },
    })),
  });
  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(await device.pipelines.get(packWeightKernel, consts));
  pass.setBindGroup(0, group);
  const [x, rows] = linearGrid(Math.ceil(params[0]! / 256));
  pass.dispatchWorkgroups(x, rows);
  pass.end();
  device.gpu.queue.submit([encoder.finish()]);
}

const show = (c: Case) => `${c.source}, layout ${c.layout}, [${c.shape}] in pieces of ${c.piece}`;
forCases("packWeight", cases, show, async ({ device, dtype, item }) => {
  const { shape, layout, source, piece } = item;
  const data = random("weight", shape, { dtype: source === "F16" ? "f16" : "f32" });
  if (source === "BF16") {
    const words = new Uint32Array(data.values.buffer);
    for (const [i, word] of words.entries()) words[i] = word & 0xffff0000;
  }
  const [, inner, height, width] = shape;
  const { graph } = new Bench(dtype);
  const y = graph.empty([data.values.length]);
  const bytes = data.values.length * dtypeBytes[dtype];
  const buffer = upload(device, "weight", new Uint8Array(alignUp(bytes, 16)).fill(0xff));
  const consts = { W: dtype, SOURCE: packSources[source]!, LAYOUT: layout };
  for (let first = 0; first < data.values.length; first += piece) {
    const part = data.values.subarray(first, first + piece);
    const words = upload(device, "words", store(part, source));
    await pack(device, consts, words, { buffer, size: buffer.size }, [part.length, first, 0, inner, height * width]);
  }
  const actual = decode(y, await readBuffer(device, buffer, 0, bytes));
  const expected = rounded(layout ? channelsLast(data) : data, dtype).values;
  expect([...actual]).toEqual([...expected]);
});

forCases(
  "packWeight",
  [0, 1] as const,
  (l) => `layout ${l}: into a window of the tensor`,
  async ({ device, dtype, item: layout }) => {
    // Rows 4.. of [8, 16, 2, 2]: row 4 starts at a byte that can be bound.
    const data = random("weight", [8, 16, 2, 2]);
    const [first, origin] = [5 * 64, 4 * 64];
    const part = data.values.subarray(first, first + 128);
    const buffer = upload(device, "weight", new Uint8Array(512 * dtypeBytes[dtype]).fill(0));
    const offset = origin * dtypeBytes[dtype];
    const consts = { W: dtype, SOURCE: 0, LAYOUT: layout };
    const words = upload(device, "words", store(part, "F32"));
    await pack(device, consts, words, { buffer, offset, size: 256 * dtypeBytes[dtype] }, [128, first, origin, 16, 4]);
    const { graph } = new Bench(dtype);
    const actual = decode(graph.empty([512]), await readBuffer(device, buffer, 0, buffer.size));
    const expected = rounded(layout ? channelsLast(data) : data, dtype).values.map((v, i) =>
      i >= 320 && i < 448 ? v : 0,
    );
    expect([...actual]).toEqual([...expected]);
  },
);
