import { describe, expect, it } from "vitest";
import { defineKernel } from "../../src/core/kernel.js";
import { type Call, Graph, linearGrid, type Phase, phases, reshape, type Tensor } from "../../src/graph/graph.js";
import { print, weightBytes } from "../../src/graph/print.js";
import { lifetimes, storageBytes } from "../../src/plan/lifetimes.js";
import { packParams } from "../../src/plan/params.js";
import { assignSlots, floorBytes } from "../../src/plan/slots.js";
import { uniform } from "../harness/gpu.js";

const join = defineKernel({
  name: "join",
  code: "",
  reads: ["a", "b"],
  writes: ["y"],
  params: { count: "u32", shift: "i32", scale: "f32" },
  consts: [],
  inPlace: ["a", "y"],
});

function apply(graph: Graph, a: Tensor, b: Tensor | undefined, y: Tensor, count = 1) {
  graph.emit(join, { reads: { a, b }, writes: { y }, params: { count, shift: -2, scale: 0.5 }, consts: {}, grid: [1] });
  return y;
}

/** A program of random calls on values of random sizes and phases, with states, outputs and long-lived values. */
function program(seed: number): Graph {
  const next = uniform(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!;
  const graph = new Graph({ dtype: "f32" });
  const size = () => [next() < 0.5 ? 500 : 1 + Math.floor(next() ** 3 * 2000)];
  const state = graph.state("x", size());
  const values: Tensor[] = [
    graph.input("prompt", size(), "f32", "prompt"),
    graph.input("t", size(), "f32", "step"),
    graph.weight({ name: "w", shape: size(), layout: "plain", dtype: "f32" }),
    state,
  ];
  const calls = 5 + Math.floor(next() * 60);
  for (let i = 0; i < calls; i++) {
    // Mostly recent values, as in a network; sometimes an old one, as a skip connection.
    const a =
      next() < 0.7 ? values[values.length - 1 - Math.floor(next() * Math.min(3, values.length))]! : pick(values);
    const others = values.filter((value) => value.id !== a.id);
    const b = next() < 0.5 ? pick(others) : undefined;
    const inPlace = next() < 0.1 && a.id !== state.id && b?.id !== state.id;
    const y = apply(graph, a, b, inPlace ? state : graph.empty(size()));
    if (!inPlace) values.push(y);
    if (next() < 0.1) graph.output(y);
  }
  return graph;
}

/** Follows which value each slot holds while the phases run, the step several times. */
function replay(graph: Graph, slotOf: ReadonlyMap<number, number>, inPlace: ReadonlySet<Call>): string[] {
  const faults: string[] = [];
  const holds = new Map<number, number>();
  for (const phase of ["load", "prompt", "step", "step", "prompt", "step"] satisfies Phase[]) {
    for (const call of graph.calls.filter((c) => c.phase === phase)) {
      const bound = inPlace.has(call) ? call.reads.slice(1) : call.reads; // the first is read from where it is written
      const operands = [...bound, ...call.writes].flatMap((window) => window?.tensor.id ?? []);
      const slots = operands.flatMap((id) => slotOf.get(id) ?? []);
      const distinct = new Set(operands.filter((id) => slotOf.has(id)));
      if (new Set(slots).size !== distinct.size) faults.push(`a call binds one slot for two of ${operands}`);
      for (const read of call.reads) {
        const slot = read && slotOf.get(read.tensor.id);
        if (slot !== undefined && holds.get(slot) !== read!.tensor.id) faults.push(`value ${read!.tensor.id} is gone`);
      }
      if (inPlace.has(call) && slotOf.get(call.reads[0]!.tensor.id) !== slotOf.get(call.writes[0]!.tensor.id)) {
        faults.push(`value ${call.reads[0]!.tensor.id} is not where ${call.writes[0]!.tensor.id} is written`);
      }
      for (const { tensor } of call.writes) {
        const slot = slotOf.get(tensor.id);
        if (slot !== undefined) holds.set(slot, tensor.id);
      }
    }
  }
  return faults;
}

describe("slots of random programs", () => {
  it("hold every value for as long as it is read, in buffers that are large enough", () => {
    let saved = 0;
    let over = 0;
    for (let seed = 1; seed <= 400; seed++) {
      const graph = program(seed);
      for (const [alias, leastInPlace] of [
        [true, 0],
        [true, undefined],
        [false, undefined],
      ] as const) {
        const { shared, pinned, inPlace } = lifetimes(graph, leastInPlace);
        over += inPlace.size;
        const { sizes, slotOf } = assignSlots(shared, alias);
        expect(replay(graph, slotOf, inPlace), `program ${seed}`).toEqual([]);
        for (const { ids, bytes } of shared) {
          for (const id of ids) expect(bytes).toBe(storageBytes(graph, id));
          expect(bytes).toBeLessThanOrEqual(sizes[slotOf.get(ids[0]!)!]!);
        }
        const total = sizes.reduce((a, b) => a + b, 0);
        expect(floorBytes(shared)).toBeLessThanOrEqual(total);
        const values = shared.reduce((sum, { bytes }) => sum + bytes, 0);
        if (alias) {
          saved += values - total;
          expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
        } else expect(total).toBe(values);
        for (const { id, kind } of graph.storages) {
          if (kind !== "intermediate") expect(pinned.has(id) || shared.some((s) => s.ids.includes(id))).toBe(false);
        }
        for (const id of graph.outputs)
          if (graph.storages[id]!.kind === "intermediate") expect(pinned.has(id)).toBe(true);
      }
    }
    expect(saved).toBeGreaterThan(0);
    expect(over).toBeGreaterThan(400);
  });

  it("the check itself notices values that share a slot", () => {
    const faults = Array.from({ length: 20 }, (_, seed) => {
      const graph = program(seed);
      const { shared } = lifetimes(graph);
      return replay(graph, new Map(shared.flatMap(({ ids }) => ids.map((id) => [id, 0]))), new Set());
    });
    expect(faults.filter((list) => list.length > 0).length).toBeGreaterThan(15);
  });
});

describe("lifetimes", () => {
  it("pins what leaves its phase and what is an output", () => {
    const graph = new Graph({ dtype: "f32" });
    const prompt = graph.input("p", [100], "f32", "prompt");
    const t = graph.input("t", [100], "f32", "step");
    const a = apply(graph, prompt, undefined, graph.empty([100]));
    const hoisted = apply(graph, a, undefined, graph.empty([100]));
    const b = apply(graph, t, hoisted, graph.empty([100]));
    const c = graph.output(apply(graph, b, undefined, graph.empty([100])));
    const { shared, pinned } = lifetimes(graph);
    expect(graph.calls.map((call) => call.phase)).toEqual(["prompt", "prompt", "step", "step"]);
    expect([...pinned].sort()).toEqual([hoisted.id, c.id]);
    expect(shared).toEqual([
      { ids: [a.id], bytes: 400, first: 0, last: 1 },
      { ids: [b.id], bytes: 400, first: 2, last: 3 },
    ]);
    expect(assignSlots(shared).sizes).toEqual([400]);
    expect(floorBytes(shared)).toBe(400);
  });

  it("lets a value be written over the one that it is made from, where that is needed no more", () => {
    const graph = new Graph({ dtype: "f32" });
    const a = apply(graph, graph.input("t", [100], "f32", "step"), undefined, graph.empty([100]));
    const b = apply(graph, a, undefined, graph.empty([100])); // a is read again below
    const c = apply(graph, b, a, graph.empty([100])); // over b
    const d = apply(graph, c, c, graph.empty([100])); // c is read in two places
    const e = apply(graph, d, undefined, graph.empty([99])); // another size
    graph.output(apply(graph, e, undefined, graph.empty([99])));
    const { shared, inPlace } = lifetimes(graph, 400);
    expect(shared.map(({ ids }) => ids)).toEqual([[a.id], [b.id, c.id], [d.id], [e.id]]);
    expect([...inPlace].map((call) => graph.calls.indexOf(call))).toEqual([2]);
    expect(lifetimes(graph, 401).inPlace.size).toBe(0);
  });

  it("keeps a chain in two slots, and lets the small values share the small one", () => {
    const graph = new Graph({ dtype: "f16" });
    let x = graph.input("x", [8], "f16", "step");
    for (const size of [64, 1000, 8, 512, 3]) x = apply(graph, x, undefined, graph.empty([size]));
    expect(assignSlots(lifetimes(graph).shared).sizes).toEqual([2000, 128]);
  });
});

describe("params", () => {
  it("lie at multiples of 256 bytes in declared order, equal ones once", () => {
    const graph = new Graph({ dtype: "f32" });
    const x = graph.input("x", [4], "f32", "step");
    for (const count of [7, 9, 7]) apply(graph, x, undefined, graph.empty([4]), count);
    const { bytes, offsets, sizes } = packParams(graph.calls);
    expect(offsets).toEqual([0, 256, 0]);
    expect(sizes).toEqual([16, 16, 16]);
    expect(bytes.byteLength).toBe(512);
    const view = new DataView(bytes.buffer);
    expect([view.getUint32(0, true), view.getInt32(4, true), view.getFloat32(8, true)]).toEqual([7, -2, 0.5]);
    expect([view.getUint32(256, true), view.getInt32(260, true), view.getFloat32(264, true)]).toEqual([9, -2, 0.5]);
  });

  it("may be absent", () => {
    const graph = new Graph({ dtype: "f32" });
    const copy = defineKernel({ name: "copy", code: "", reads: ["x"], writes: ["y"], params: {}, consts: [] });
    const x = graph.input("x", [4], "f32", "step");
    graph.emit(copy, { reads: { x }, writes: { y: graph.empty([4]) }, params: {}, consts: {}, grid: [1] });
    expect(packParams(graph.calls)).toEqual({ bytes: new Uint8Array(0), offsets: [0], sizes: [0] });
  });
});

describe("linearGrid", () => {
  it("covers the count within the limits and wastes less than a row's share", () => {
    for (const count of [1, 2, 65534, 65535, 65536, 65537, 131070, 131071, 10_000_019, 65535 * 65535]) {
      const [x, y] = linearGrid(count);
      expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
      expect(x * y).toBeGreaterThanOrEqual(count);
      expect(x * y - count).toBeLessThan(y);
    }
  });
});

describe("a graph", () => {
  const graph = new Graph({ dtype: "f32", maxBinding: 4096 });
  const x = graph.input("x", [16, 16], "f32", "step");
  const emit = (change: object) => () =>
    graph.emit(join, {
      ...{ reads: { a: x, b: undefined }, writes: { y: graph.empty([4]) } },
      ...{ params: { count: 1, shift: 0, scale: 1 }, consts: {}, grid: [1] as const },
      ...change,
    });

  it("refuses calls that could not run", () => {
    expect(emit({})).not.toThrow();
    expect(emit({ grid: [65536] })).toThrow(/join: a grid of 65536 x 1 x 1/);
    expect(emit({ grid: [0, 1] })).toThrow(/grid/);
    expect(emit({ params: { count: -1, shift: 0, scale: 1 } })).toThrow(/join: param count is -1, not of type u32/);
    expect(emit({ params: { count: 1, shift: 0.5, scale: 1 } })).toThrow(/param shift is 0.5/);
    expect(emit({ writes: { y: x } })).toThrow(/join: writes into a input/);
    expect(emit({ reads: { a: { tensor: x, offset: 1, length: 4 }, b: undefined } })).toThrow(
      /byte 4, not a multiple of 256/,
    );
    expect(emit({ reads: { a: { tensor: x, offset: 64, length: 200 }, b: undefined } })).toThrow(
      /a spans 64\.\.264 of/,
    );
    expect(emit({ writes: { y: graph.empty([2000]) } })).toThrow(
      /takes 8000 bytes, a binding of this adapter holds 4096/,
    );
    expect(emit({ writes: { y: new Graph({ dtype: "f32" }).empty([4]) } })).toThrow(/another graph/);
    expect(() => graph.empty([2, 0])).toThrow(/\[2, 0\] has an axis/);
    expect(() => reshape(x, [3, 5])).toThrow(/reshape: \[16, 16\]/);
  });

  it("gives a weight once, and refuses it in a second form", () => {
    const request = { name: "w", shape: [4, 3, 2, 2], layout: "conv", dtype: "f16" } as const;
    const w = graph.weight(request);
    expect(w.shape).toEqual([4, 2, 2, 3]);
    expect(graph.weight(request)).toBe(w);
    expect(() => graph.weight({ ...request, layout: "plain" })).toThrow(/w: asked for in two different ways/);
    expect(graph.requests()).toEqual([request]);
    expect(weightBytes(graph)).toBe(96);
  });

  it("prints a call a line", () => {
    const small = new Graph({ dtype: "f32" });
    const p = small.input("p", [4], "f32", "prompt");
    const w = small.weight({ name: "block.norm.weight", shape: [4], layout: "plain", dtype: "f32" });
    apply(small, p, w, small.empty([2, 2]));
    expect(print(small)).toBe("prompt %2:f32[2, 2] = join block.norm(p:f32[4], block.norm.weight:f32[4]) @ 1x1x1");
    expect(phases).toEqual(["load", "prompt", "step"]);
  });
});
