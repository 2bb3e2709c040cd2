import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DType, dtypeBytes } from "../../src/core/dtype.js";
import { fromHalf, toHalf } from "../../src/core/half.js";
import type { MatrixUnits } from "../../src/core/matrixUnits.js";
import { alignUp, type Shape, showShape, sizeOf } from "../../src/core/shape.js";
import { Device } from "../../src/gpu/device.js";
import { Graph, type GraphOptions, type Phase, type Tensor } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import { type AdapterName, describeAdapters, openAdapter, type TestDevice } from "./adapters.js";

/** Numbers with a shape, on the CPU. */
export interface Data {
  readonly shape: Shape;
  readonly values: Float32Array<ArrayBuffer>;
}

/** The devices of a suite: opened before it, closed after it. */
export interface SuiteDevice extends TestDevice {
  /** To be called inside of tests. */
  readonly device: () => Device;
  /** Element types that the adapter can compute with. */
  readonly dtypes: readonly DType[];
}

/** Opens the engine's device on an adapter. */
export async function openDevice(name: AdapterName): Promise<Device> {
  return Device.open({ adapter: (await openAdapter(name))! });
}

/** Runs a suite once on each adapter with an open device; an error that the device reports between tests fails the suite. */
export function onDevices(title: string, suite: (device: SuiteDevice) => void): void {
  describeAdapters(title, (adapter) => {
    let device: Device | undefined;
    beforeAll(async () => {
      device = await openDevice(adapter.name);
    });
    afterAll(async () => {
      await device?.idle();
      device?.dispose();
    });
    suite({ ...adapter, device: () => device!, dtypes: adapter.hasF16 ? ["f32", "f16"] : ["f32"] });
  });
}

/** What a test of one case is given. */
export interface CaseContext<T> {
  readonly device: Device;
  readonly dtype: DType;
  readonly item: T;
  /** Leaves the case out on this device; the report says why. */
  readonly skip: (reason: string) => never;
}

/** One test per case and element type, on each adapter. */
export function forCases<T>(
  title: string,
  cases: readonly T[],
  name: (item: T) => string,
  test: (context: CaseContext<T>) => Promise<void>,
): void {
  onDevices(title, ({ device, dtypes }) => {
    for (const dtype of dtypes) {
      describe(dtype, () => {
        for (const item of cases) {
          it(name(item), async ({ skip }) => {
            // A GPU's promise of float16 is known only once it is open.
            if (dtype === "f16" && !device().features.f16) skip("the adapter has no shader-f16");
            await test({ device: device(), dtype, item, skip });
          });
        }
      });
    }
  });
}

/** One test per case on each adapter that has matrix units, in f16, with these. */
export function forMatrixCases<T>(
  title: string,
  cases: readonly T[],
  name: (item: T) => string,
  test: (context: CaseContext<T> & { readonly matrix: MatrixUnits }) => Promise<void>,
): void {
  onDevices(title, ({ device }) => {
    for (const item of cases) {
      it(name(item), async ({ skip }) => {
        const { matrix } = device().features;
        if (!matrix) return skip("the adapter has no matrix units");
        await test({ device: device(), dtype: "f16", item, skip, matrix });
      });
    }
  });
}

/** A generator of numbers in [0, 1), the same for the same seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface RandomOptions {
  /** The values are rounded to what this type holds. */
  readonly dtype?: DType;
  readonly scale?: number;
  readonly mean?: number;
}

/** Pseudo-random numbers, about normal; the same for the same name and shape. */
export function random(name: string, shape: Shape, { dtype = "f32", scale = 1, mean = 0 }: RandomOptions = {}): Data {
  let seed = 17;
  for (const char of `${name} ${shape.join()}`) seed = (Math.imul(seed, 31) + char.charCodeAt(0)) | 0;
  const next = uniform(seed);
  // Four uniforms have variance 1/3.
  const values = Float32Array.from({ length: sizeOf(shape) }, () => {
    const value = (next() + next() + next() + next() - 2) * Math.sqrt(3);
    return value * scale + mean;
  });
  return rounded({ shape, values }, dtype);
}

/** The same value everywhere. */
export const constant = (shape: Shape, value: number): Data => ({
  shape,
  values: new Float32Array(sizeOf(shape)).fill(value),
});

/** As an element type holds it. */
export function rounded(data: Data, dtype: DType): Data {
  return dtype === "f16" ? { ...data, values: data.values.map((value) => fromHalf(toHalf(value))) } : data;
}

/** As bytes of an element type, filled up to a multiple of 16 bytes with ones, which read as NaN. */
export function pack(values: ArrayLike<number>, dtype: DType): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(alignUp(values.length * dtypeBytes[dtype], 16)).fill(0xff);
  const view = dtype === "f16" ? new Uint16Array(bytes.buffer) : new Float32Array(bytes.buffer);
  if (dtype === "u32") new Uint32Array(bytes.buffer).set(values);
  else if (dtype === "f16") for (let i = 0; i < values.length; i++) view[i] = toHalf(values[i]!);
  else view.set(values);
  return bytes;
}

/** Numbers for the element type of a tensor, for `Plan.write`. */
export function elements(values: ArrayLike<number>, dtype: DType) {
  if (dtype === "u32") return Uint32Array.from(values);
  return dtype === "f16" ? Uint16Array.from(values, toHalf) : Float32Array.from(values);
}

/** A graph being built for one run, with the numbers of its inputs and weights. */
export class Bench {
  readonly graph: Graph;
  readonly weights = new Map<string, Data>();
  readonly inputs = new Map<Tensor, ArrayLike<number>>();

  constructor(
    readonly dtype: DType,
    options: Omit<GraphOptions, "dtype"> = {},
  ) {
    this.graph = new Graph({ ...options, dtype });
  }

  /** An input that holds these numbers; in the graph's element type unless another is named. */
  input({ shape, values }: Data, dtype = this.dtype, phase: "prompt" | "step" = "step"): Tensor {
    const tensor = this.graph.input(`input ${this.inputs.size}`, shape, dtype, phase);
    this.inputs.set(tensor, values);
    return tensor;
  }

  /** An input of whole numbers. */
  integers(shape: Shape, values: ArrayLike<number>, phase: "prompt" | "step" = "step"): Tensor {
    const tensor = this.graph.input(`input ${this.inputs.size}`, shape, "u32", phase);
    this.inputs.set(tensor, values);
    return tensor;
  }

  /** A state that starts with these numbers. */
  state({ shape, values }: Data): Tensor {
    const tensor = this.graph.state(`state ${this.inputs.size}`, shape);
    this.inputs.set(tensor, values);
    return tensor;
  }

  /** A place for weights; `weight` and `bias` and so on as in the file. */
  scope(name: string, tensors: Readonly<Record<string, Data>>): Scope {
    for (const [key, data] of Object.entries(tensors)) this.weights.set(`${name}.${key}`, data);
    return new Scope(this.graph, name);
  }
}

/** The weights that a graph asks for, in the layouts and types it asks for. */
export function uploadWeights(
  device: Device,
  graph: Graph,
  weights: ReadonlyMap<string, Data>,
): Map<string, GPUBuffer> {
  const buffers = new Map<string, GPUBuffer>();
  for (const { name, shape, layout, dtype } of graph.requests()) {
    const data = weights.get(name);
    if (!data) throw new Error(`${name}: the test gives no such weight`);
    if (data.shape.join() !== shape.join()) {
      throw new Error(`${name}: the graph asks for ${showShape(shape)}, the test gives ${showShape(data.shape)}`);
    }
    const bytes = pack(layout === "conv" ? channelsLast(data).values : data.values, dtype);
    buffers.set(name, upload(device, name, bytes));
  }
  return buffers;
}

/** A storage buffer that holds these bytes. */
export function upload(device: Device, label: string, bytes: Uint8Array<ArrayBuffer>): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = device.buffer(label, bytes.byteLength, usage);
  device.gpu.queue.writeBuffer(buffer, 0, bytes);
  return buffer;
}

/** [O, I, KH, KW] to [O, KH, KW, I]. */
export function channelsLast({ shape, values }: Data): Data {
  const [o, i, h, w] = shape as [number, number, number, number];
  const result = new Float32Array(values.length);
  for (let a = 0; a < o; a++) {
    for (let b = 0; b < i; b++) {
      for (let k = 0; k < h * w; k++) result[(a * h * w + k) * i + b] = values[(a * i + b) * h * w + k]!;
    }
  }
  return { shape: [o, h, w, i], values: result };
}

export interface Prepared {
  readonly plan: Plan;
  readonly pool: SlotPool;
  readonly dispose: () => void;
}

export interface PrepareOptions {
  readonly alias?: boolean;
  readonly pool?: SlotPool;
  /** Fills buffers with NaN before anything runs; on unless false. */
  readonly poison?: boolean;
}

/** Compiles what was built, fills every buffer with NaN and writes the inputs. */
export async function prepare(device: Device, bench: Bench, options: PrepareOptions = {}): Promise<Prepared> {
  const { graph } = bench;
  const weights = uploadWeights(device, graph, bench.weights);
  const pool = options.pool ?? new SlotPool(device);
  const plan = await Plan.compile(device, graph, { pool, weights, alias: options.alias ?? true });
  if (options.poison ?? true) poison(plan, pool);
  for (const [tensor, values] of bench.inputs) plan.write(tensor, elements(values, tensor.dtype));
  const dispose = () => {
    plan.dispose();
    if (!options.pool) pool.dispose();
    for (const buffer of weights.values()) buffer.destroy();
  };
  return { plan, pool, dispose };
}

/** Fills the pool and the plan's own values with bytes that read as NaN, except for what was computed from weights alone. */
export function poison(plan: Plan, pool: SlotPool): void {
  const { graph, device } = plan;
  const fill = (buffer: GPUBuffer) => device.gpu.queue.writeBuffer(buffer, 0, new Uint8Array(buffer.size).fill(0xff));
  for (const buffer of pool.buffers) fill(buffer);
  for (const { id, kind, phase, size, dtype } of graph.storages) {
    if (kind === "weight" || phase === "load") continue;
    fill(plan.buffer({ graph, id, shape: [size], dtype }));
  }
}

/** Builds, compiles and runs a graph (prompt, then step) and reads its outputs. */
export async function runGraph(
  device: Device,
  dtype: DType,
  build: (bench: Bench) => Tensor | readonly Tensor[],
  options: PrepareOptions & Omit<GraphOptions, "dtype"> = {},
): Promise<Float64Array[]> {
  const { maxBinding, software, matrix, subgroup, winograd, forms } = options;
  const bench = new Bench(dtype, {
    ...(maxBinding && { maxBinding }),
    ...(software && { software }),
    ...(matrix && { matrix }),
    ...(subgroup && { subgroup }),
    ...(winograd && { winograd }),
    ...(forms && { forms }),
  });
  const built = build(bench);
  const outputs = "graph" in built ? [built] : built;
  for (const tensor of outputs) bench.graph.output(tensor);
  const { plan, dispose } = await prepare(device, bench, options);
  try {
    for (const phase of ["prompt", "step"] satisfies Phase[]) if (plan.count(phase) > 0) plan.run(phase);
    const results: Float64Array[] = [];
    for (const tensor of outputs) results.push(Float64Array.from(await plan.read(tensor)));
    return results;
  } finally {
    dispose();
  }
}

/** Normalised mean squared error that a kernel may make by default. */
export const tolerance: Readonly<Record<DType, number>> = { f32: 1e-10, f16: 1e-6, u32: 0 };

/** sum((a - b)^2) / sum(b^2). */
export function nmse(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    power += expected[i]! ** 2;
  }
  return error === 0 ? 0 : error / power;
}

/** Compares by normalised mean squared error, and each element by a loose bound, so that no single one is wrong. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, limit: number): void {
  expect(actual.length, "number of elements").toBe(expected.length);
  let worst = 0;
  let at = -1;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) [worst, at] = [error, i];
    largest = Math.max(largest, Math.abs(expected[i]!));
    if (Number.isNaN(worst)) break;
  }
  const where = `element ${at} of ${expected.length} is ${actual[at]}, expected ${expected[at]}`;
  expect(nmse(actual, expected), where).toBeLessThanOrEqual(limit);
  expect(worst, where).toBeLessThanOrEqual(30 * Math.sqrt(limit) * largest);
}
