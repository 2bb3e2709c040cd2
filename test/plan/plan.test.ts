import { expect, it, vi } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import { WebldmError } from "../../src/core/invariant.js";
import { defineKernel } from "../../src/core/kernel.js";
import type { Device } from "../../src/gpu/device.js";
import { Graph, type Tensor } from "../../src/graph/graph.js";
import { affine } from "../../src/ops/affine.js";
import { attention } from "../../src/ops/attention.js";
import { attentionReferenceKernel } from "../../src/ops/attentionReference.js";
import { concat } from "../../src/ops/concat.js";
import { conv2d } from "../../src/ops/conv2d.js";
import { conv2dReferenceKernel } from "../../src/ops/conv2dReference.js";
import { groupNorm } from "../../src/ops/groupNorm.js";
import { layerNorm } from "../../src/ops/layerNorm.js";
import { linear } from "../../src/ops/linear.js";
import { linearReferenceKernel } from "../../src/ops/linearReference.js";
import { samplerStep, scalarCount } from "../../src/ops/samplerStep.js";
import { softmax } from "../../src/ops/softmax.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import { profile } from "../../src/plan/profile.js";
import { trace } from "../../src/plan/trace.js";
import { samplerPath, stepScalars } from "../../src/sampling/sampler.js";
import { parseSchedulerConfig } from "../../src/sampling/schedule.js";
import { Bench, elements, expectClose, onDevices, poison, prepare, random, runGraph } from "../harness/gpu.js";
import * as reference from "../ops/reference.js";

const scalars = stepScalars(samplerPath(parseSchedulerConfig({}), { steps: 10 }).steps[0]!, 1);

interface Network {
  readonly bench: Bench;
  /** The latent: a state. */
  readonly x: Tensor;
  readonly t: Tensor;
  readonly scalars: Tensor;
  readonly clean: Tensor;
}

/** A small denoiser: a context computed once per prompt, convolutions with a skip connection, attention, a DDIM step. */
function network(dtype: DType, size = 6): Network {
  const bench = new Bench(dtype);
  const { graph } = bench;
  const w = (name: string, out: number, inner: number, kernel = 0) => {
    const shape = kernel ? [out, inner, kernel, kernel] : [out, inner];
    const weight = random(`${name} w`, shape, { dtype, scale: (inner * Math.max(1, kernel ** 2)) ** -0.5 });
    return bench.scope(name, { weight, bias: random(`${name} b`, [out], { scale: 0.1 }) });
  };
  const norm = (name: string, channels: number) =>
    bench.scope(name, { weight: random(name, [channels], { mean: 1, scale: 0.1 }), bias: random(name, [channels]) });

  const context = layerNorm(
    bench.input(random("context", [1, 5, 12], { dtype }), dtype, "prompt"),
    norm("context", 12),
  );
  const k = linear(context, w("k", 16, 12), { out: 16, variant: linearReferenceKernel });
  const v = linear(context, w("v", 16, 12), { out: 16, variant: linearReferenceKernel });

  const x = bench.state(random("latent", [1, size, size, 4]));
  const t = bench.input(random("t", [1, 8], { dtype }));
  const time = linear(t, w("time", 16, 8), { out: 16, actIn: "silu", variant: linearReferenceKernel });
  const input = affine(x, { dtype });
  const a = conv2d(input, w("in", 16, 4, 3), { out: 16, channelBias: time, variant: conv2dReferenceKernel });
  const b = conv2d(groupNorm(a, norm("norm", 16), { groups: 4, act: "silu" }), w("mid", 16, 16, 3), {
    out: 16,
    variant: conv2dReferenceKernel,
  });
  const tokens = { ...b, shape: [1, size * size, 16] };
  const q = linear(tokens, w("q", 16, 16), { out: 16, variant: linearReferenceKernel });
  const attended = attention(q, k, v, { heads: 2, variant: attentionReferenceKernel });
  const c = linear(attended, w("o", 16, 16), { out: 16, residual: tokens, variant: linearReferenceKernel });
  const skip = concat({ ...c, shape: [1, size, size, 16] }, a);
  const eps = conv2d(skip, w("out", 4, 32, 3), { out: 4, dtype: "f32", actIn: "silu", variant: conv2dReferenceKernel });
  const step = bench.input({ shape: [scalarCount], values: scalars }, "f32");
  const clean = graph.output(samplerStep(x, eps, step));
  return { bench, x, t, scalars: step, clean };
}

const initial = (size = 6) => random("latent", [1, size, size, 4]).values;

/** Runs the prompt once and a few steps, from the same latent with other timesteps each; the bits of all that comes out. */
async function sample(plan: Plan, net: Network, { prompt = true, size = 6 } = {}): Promise<number[]> {
  plan.write(net.x, Float32Array.from(initial(size)));
  if (prompt) plan.run("prompt");
  const bits: number[] = [];
  for (let i = 0; i < 3; i++) {
    plan.write(net.t, elements(random(`t${i}`, [1, 8]).values, net.t.dtype));
    plan.run("step");
    bits.push(...(await plan.readBytes(net.clean)));
  }
  return [...bits, ...(await plan.readBytes(net.x))];
}

/** The buffers that a device makes from now on, and whether each is destroyed. */
function watchBuffers(device: Device) {
  const alive = new Set<GPUBuffer>();
  let most = 0; // bytes at once
  const create = device.gpu.createBuffer.bind(device.gpu);
  const spy = vi.spyOn(device.gpu, "createBuffer").mockImplementation((descriptor) => {
    const buffer = create(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy();
    };
    alive.add(buffer);
    most = Math.max(
      most,
      [...alive].reduce((sum, { size }) => sum + size, 0),
    );
    return buffer;
  });
  return { alive, most: () => most, restore: () => spy.mockRestore() };
}

onDevices("a plan", ({ name, device, dtypes }) => {
  for (const dtype of dtypes) {
    it(`gives the same bits with and without shared memory, with poisoned memory, and again (${dtype})`, async () => {
      const net = network(dtype);
      const { plan, pool, dispose } = await prepare(device(), net.bench, { poison: false });
      const bits = await sample(plan, net);
      expect(bits.some((byte) => byte !== 0)).toBe(true);
      expect((await plan.read(net.x)).every(Number.isFinite)).toBe(true);

      expect(await sample(plan, net), "replayed").toEqual(bits);
      expect(await sample(plan, net, { prompt: false }), "the prompt's values stay").toEqual(bits);
      for (const buffer of pool.buffers) {
        device().gpu.queue.writeBuffer(buffer, 0, new Uint8Array(buffer.size).fill(0xff));
      }
      expect(await sample(plan, net, { prompt: false }), "with poisoned slots").toEqual(bits);
      poison(plan, pool);
      for (const [tensor, values] of net.bench.inputs) plan.write(tensor, elements(values, tensor.dtype));
      expect(await sample(plan, net), "with all memory poisoned").toEqual(bits);

      const other = network(dtype);
      const alone = await prepare(device(), other.bench, { alias: false });
      expect(await sample(alone.plan, other), "without shared memory").toEqual(bits);
      expect(alone.pool.buffers.length).toBeGreaterThan(pool.buffers.length);
      expect(alone.pool.bytes).toBeGreaterThan(pool.bytes);
      dispose();
      alone.dispose();
    });
  }

  it("runs what the prompt alone decides once, ahead of the steps", async () => {
    const net = network("f32");
    const { plan, dispose } = await prepare(device(), net.bench);
    expect(plan.list("prompt").map(({ call }) => call.label)).toEqual([
      "layerNorm context",
      "linearReference k",
      "linearReference v",
    ]);
    expect([plan.count("load"), plan.count("prompt"), plan.count("step")]).toEqual([
      0,
      3,
      net.bench.graph.calls.length - 3,
    ]);
    dispose();
  });

  it("computes what the weights alone decide when it is compiled", async () => {
    const bench = new Bench("f32");
    const w = bench.scope("w", { table: random("table", [3, 5]) });
    const doubled = affine(w.matrix("table", [3, 5]), { scale: 2 });
    const y = bench.graph.output(affine(doubled, { shift: 1 }));
    const x = bench.input(random("x", [3, 5]));
    const z = bench.graph.output(concat(x, y));
    const { plan, dispose } = await prepare(device(), bench);
    expect([plan.count("load"), plan.count("prompt"), plan.count("step")]).toEqual([2, 0, 1]);
    plan.run("step");
    const expected = reference.map(random("table", [3, 5]), (v) => v * 2 + 1);
    expectClose(await plan.read(y), expected.values, 1e-12);
    expectClose(await plan.read(z), reference.concat(random("x", [3, 5]), expected).values, 1e-12);
    dispose();
  });

  it("shares a pool with a larger plan, compiled and run in between", async () => {
    const [small, large] = [network("f32", 4), network("f32", 9)];
    const first = await prepare(device(), small.bench);
    const { pool } = first;
    const bits = await sample(first.plan, small, { size: 4 });
    const { version, bytes } = pool;
    const second = await prepare(device(), large.bench, { pool });
    expect(pool.version).toBeGreaterThan(version);
    expect(pool.bytes).toBeGreaterThan(bytes);
    const largeBits = await sample(second.plan, large, { size: 9 });
    expect(await sample(first.plan, small, { size: 4, prompt: false })).toEqual(bits);
    expect(await sample(second.plan, large, { size: 9, prompt: false })).toEqual(largeBits);
    second.dispose();
    expect(await sample(first.plan, small, { size: 4, prompt: false })).toEqual(bits);
    first.dispose();
  });

  const slow = name === "swiftshader" ? " [too slow on SwiftShader]" : "";
  it.skipIf(slow)(`writes large values over those that they are made from, to the same bits${slow}`, async () => {
    const large = (alias: boolean) => {
      const bench = new Bench("f32");
      const norm = (name: string) =>
        groupNorm(x, bench.scope(name, { weight: random(name, [24]), bias: random(`${name} b`, [24]) }), { groups: 6 });
      let x = affine(bench.input(random("picture", [1, 301, 299, 24])), { scale: 3 }); // 8.6 MB
      for (const name of ["a", "b", "c"]) x = norm(name);
      bench.graph.output(affine(x, { shift: 1 }));
      return { bench, alias };
    };
    const results = [];
    for (const { bench, alias } of [large(true), large(false)]) {
      const { plan, pool, dispose } = await prepare(device(), bench, { alias });
      plan.run("step"); // memory was poisoned
      const [id] = bench.graph.outputs;
      const y = bench.graph.calls.at(-1)!.writes[0]!.tensor;
      expect(y.id).toBe(id);
      results.push({ bits: await plan.readBytes(y), bytes: pool.bytes });
      dispose();
    }
    expect(Buffer.compare(results[0]!.bits, results[1]!.bits)).toBe(0); // toEqual takes a minute
    expect(results[1]!.bytes - results[0]!.bytes).toBeGreaterThan(3 * 8.5e6);
  });

  it("makes a pool anew that was reset, and refuses one that was disposed of", async () => {
    const net = network("f32");
    const { plan, pool, dispose } = await prepare(device(), net.bench);
    const bits = await sample(plan, net);
    pool.reset();
    expect(pool.bytes).toBe(0);
    expect(await sample(plan, net)).toEqual(bits);
    dispose();
    expect(() => plan.run("prompt")).toThrow("memory for intermediates was freed");
  });

  it("keeps what the pool has where a larger slot cannot be made", async () => {
    const net = network("f32");
    const { plan, pool, dispose } = await prepare(device(), net.bench);
    const bits = await sample(plan, net);
    expect(() => pool.reserve([2 ** 52])).toThrow(/slot 0: needs a buffer of 4503599627370496 bytes/);
    expect(await sample(plan, net)).toEqual(bits);
    dispose();
  });

  it("lets go of the slots that grow before it makes larger ones", () => {
    const { most, restore } = watchBuffers(device());
    const pool = new SlotPool(device());
    try {
      pool.reserve([64, 32]);
      pool.reserve([256, 16, 16]);
      expect(pool.bytes).toBe(256 + 32 + 16);
      expect(most()).toBe(pool.bytes);
    } finally {
      pool.dispose();
      restore();
    }
  });

  it("binds buffers of another plan", async () => {
    const producer = new Bench("f32");
    const made = producer.graph.output(affine(producer.input(random("x", [4, 4])), { scale: 3 }));
    const first = await prepare(device(), producer);
    first.plan.run("step");
    const graph = new Graph({ dtype: "f32" });
    const x = graph.input("x", [4, 4], "f32", "step");
    const y = graph.output(affine(x, { shift: 1 }));
    const plan = await Plan.compile(device(), graph, {
      pool: first.pool,
      bind: new Map([[x, first.plan.buffer(made)]]),
    });
    plan.run("step");
    expectClose(await plan.read(y), reference.map(random("x", [4, 4]), (v) => v * 3 + 1).values, 1e-12);
    plan.dispose();
    first.plan.run("step"); // what it was lent is not destroyed
    expectClose(await first.plan.read(made), reference.map(random("x", [4, 4]), (v) => v * 3).values, 1e-12);
    first.dispose();
  });

  it("is traced call by call, to the same values", async () => {
    const net = network("f32");
    const { plan, dispose } = await prepare(device(), net.bench);
    plan.run("prompt");
    plan.run("step");
    const clean = await plan.read(net.clean);
    plan.write(net.x, initial());
    const visited: string[] = [];
    const last = new Map<number, Float32Array | Uint32Array>();
    for (const phase of ["prompt", "step"] as const) {
      await trace(plan, phase, (call, tensor, values) => {
        visited.push(call.kernel.name);
        expect(values.every(Number.isFinite), call.label).toBe(true);
        last.set(tensor.id, values);
      });
    }
    const writes = net.bench.graph.calls.flatMap((call) => call.writes.map(() => call.kernel.name));
    expect(visited).toEqual(writes);
    expect(last.get(net.clean.id)).toEqual(clean);
    dispose();
  });

  it("is timed dispatch by dispatch, or says why not", async () => {
    const net = network("f32");
    const { plan, dispose } = await prepare(device(), net.bench);
    plan.run("prompt");
    if (device().features.timestamps) {
      const timings = await profile(plan, "step");
      expect(timings.map(({ call }) => call)).toEqual(plan.list("step").map(({ call }) => call));
      for (const { microseconds } of timings) expect(microseconds).toBeGreaterThanOrEqual(0);
      expect(timings.some(({ microseconds }) => microseconds > 0)).toBe(true);
      expect((await plan.read(net.clean)).every(Number.isFinite)).toBe(true);
    } else {
      await expect(profile(plan, "step")).rejects.toThrow(/profile: the adapter .+ has no timestamp queries/);
    }
    dispose();
  });

  it("refuses data of another size, by the input's name", async () => {
    const net = network("f16" === dtypes.at(-1) ? "f16" : "f32");
    const { plan, dispose } = await prepare(device(), net.bench);
    expect(() => plan.write(net.x, new Float32Array(3))).toThrow(/state \d+: takes 576 bytes, got 12/);
    expect(() => plan.write(net.scalars, new Float32Array(scalarCount + 1))).toThrow(
      /input \d+: takes \d+ bytes, got \d+/,
    );
    const bits = await sample(plan, net);
    expect(bits.length).toBeGreaterThan(0);
    dispose();
  });

  it("frees what it made, and nothing is left of one that fails", async () => {
    const { alive, restore } = watchBuffers(device());
    try {
      const net = network("f32");
      const { plan, dispose } = await prepare(device(), net.bench);
      await sample(plan, net);
      const { own, slots } = plan.memory;
      expect(own).toBeGreaterThan(0);
      expect(slots.length).toBeGreaterThan(1);
      expect(alive.size).toBeGreaterThan(slots.length);
      dispose();
      expect([...alive].map((buffer) => buffer.label)).toEqual([]);

      const pool = new SlotPool(device());
      const failing = Plan.compile(device(), network("f32").bench.graph, { pool });
      await expect(failing).rejects.toThrow(/context\.weight: the weight is not on the device/);
      pool.dispose();
      expect([...alive].map((buffer) => buffer.label)).toEqual([]);
    } finally {
      restore();
    }
  });

  it("says that a disposed plan's buffers are gone, not more", async () => {
    const net = network("f32");
    const { plan, pool } = await prepare(device(), net.bench);
    plan.dispose();
    plan.run("prompt");
    await expect(plan.read(net.clean)).rejects.toThrow(WebldmError);
    pool.dispose();
    await device().gpu.queue.onSubmittedWorkDone();
    try {
      device().check();
    } catch {
      // One error per submission; the next test starts without any.
    }
  });
});

let kernels = 0;
const scale = (code: string) =>
  defineKernel({ name: `scale${kernels++}`, code, reads: ["x"], writes: ["y"], params: {}, consts: ["T"] });
const sound = `alias T = f32;
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) id: vec3u) {
  y[id.x] = x[id.x] * 2.0;
}
`;

onDevices("errors", ({ device }) => {
  const run = (code: string) =>
    runGraph(device(), "f32", (bench) => {
      const x = bench.input(random("x", [4]));
      const y = bench.graph.empty([4]);
      bench.graph.emit(scale(code), { reads: { x }, writes: { y }, params: {}, consts: { T: "f32" }, grid: [4] });
      return y;
    });
  const works = async () => {
    await device().idle();
    const [y] = await runGraph(device(), "f32", (bench) => affine(bench.input(random("x", [4])), { scale: 2 }));
    expectClose(y!, reference.map(random("x", [4]), (v) => v * 2).values, 1e-12);
  };

  it.each([
    ["an unknown name", "* 2.0", "* two", /scale\d+ \{"T":"f32"\}: does not compile: line 6: .*two/],
    ["text that is no WGSL", "y[id.x] =", "y[id.x = ", /scale\d+ .*does not compile: line 6: /],
    ["an entry point of another name", "fn main", "fn start", /scale\d+ .*does not compile: .*main/],
    ["a binding too many", "* 2.0", "* z[0]", /scale\d+ .*does not compile: /],
  ])("in a kernel name it and the line: %s", async (what, from, to, message) => {
    const extra = "@group(0) @binding(2) var<storage, read> z: array<T>;\n";
    const code = sound.replace(from, to) + (what === "a binding too many" ? extra : "");
    const attempt = run(code);
    await expect(attempt).rejects.toThrow(WebldmError);
    await expect(attempt).rejects.toThrow(message);
    await works();
  });

  it("name a constant that the kernel does not declare", async () => {
    await expect(run(sound.replace("alias T", "alias U"))).rejects.toThrow(/0 declarations of T, expected one/);
    await works();
  });

  it("of the device surface at the next look, once", async () => {
    device().gpu.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    await expect(device().idle()).rejects.toThrow(/^GPU: /);
    await works();
  });

  it("tell of a buffer beyond the adapter's limits", async () => {
    const { maxBufferSize } = device().gpu.limits;
    expect(() => device().buffer("weights", maxBufferSize + 4, GPUBufferUsage.STORAGE)).toThrow(
      /weights: needs a buffer of \d+ bytes, this adapter allows \d+/,
    );
    await works();
  });
});

onDevices("grids of more than 65535 workgroups", ({ name, device }) => {
  it("reach every row", async () => {
    const x = random("x", [70_001, 2]);
    const [y] = await runGraph(device(), "f32", (bench) => softmax(bench.input(x)));
    expectClose(y!, reference.softmax(x).values, 1e-10);
  });

  it.skipIf(name === "swiftshader")("reach every element [too slow on SwiftShader]", async () => {
    const count = 65_535 * 256 + 1000;
    const bench = new Bench("f32");
    const input = bench.input({ shape: [1, count], values: new Float32Array(count).fill(1) });
    const y = bench.graph.output(affine(input, { scale: 3 }));
    const { plan, dispose } = await prepare(device(), bench);
    plan.run("step");
    const values = await plan.read(y);
    expect(values.findIndex((v) => v !== 3)).toBe(-1);
    dispose();
  });
});
