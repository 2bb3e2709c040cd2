// Which forms are tried, and that each of them computes what the op is.
import { describe, expect, it } from "vitest";
import type { MatrixUnits } from "../../src/core/matrixUnits.js";
import { Graph, type GraphOptions } from "../../src/graph/graph.js";
import { print } from "../../src/graph/print.js";
import { Scope } from "../../src/graph/scope.js";
import { attention } from "../../src/ops/attention.js";
import { conv2d } from "../../src/ops/conv2d.js";
import { winograd } from "../../src/ops/conv2dWinograd.js";
import { groupNorm } from "../../src/ops/groupNorm.js";
import { linear } from "../../src/ops/linear.js";
import { type Candidate, candidatesOf } from "../../src/tuning/candidates.js";
import { always, Collector, chooserOf, type Use } from "../../src/tuning/choosers.js";
import { measured } from "../../src/tuning/measured.js";
import { tableOf } from "../../src/tuning/table.js";
import { describeOneAdapter } from "../harness/adapters.js";
import { type Bench, expectClose, openDevice, random, runGraph, tolerance } from "../harness/gpu.js";
import * as reference from "../ops/reference.js";

const units: MatrixUnits = { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 49152, invocations: 1024 };
const traits: Readonly<Record<string, GraphOptions>> = {
  "a GPU": { dtype: "f32" },
  "a GPU that takes Winograd's form": { dtype: "f32", winograd },
  "a GPU with matrix units": { dtype: "f16", matrix: units },
  "a CPU": { dtype: "f32", software: true },
};

/** Ops of every kind in sizes that take every path of the choice. */
function recordAll(options: GraphOptions): Graph {
  const graph = new Graph(options);
  const w = new Scope(graph);
  const { dtype } = graph;
  const image = (side: number, channels: number) =>
    graph.input(`${side} ${channels}`, [2, side, side, channels], dtype, "step");
  for (const [side, channels] of [
    [64, 320],
    [8, 1280],
    [16, 6],
  ] as const) {
    const x = image(side, channels);
    conv2d(x, w.at("conv", side), { out: channels });
    conv2d(x, w.at("down", side), { out: 4, stride: 2, bias: false });
    groupNorm(x, w.at("norm", side), { groups: 2 });
  }
  for (const [rows, inner] of [
    [2, 320],
    [8192, 320],
    [128, 1280],
  ] as const) {
    linear(graph.input(`${rows}`, [1, rows, inner], dtype, "step"), w.at("linear", rows), { out: 1280 });
  }
  for (const heads of [1, 5, 8]) {
    const q = graph.input(`q ${heads}`, [2, 512, 40 * heads * (heads === 5 ? 4 : 1)], dtype, "step");
    attention(q, q, q, { heads });
  }
  return graph;
}

const usesOf = (options: GraphOptions): Use[] => {
  const forms = new Collector();
  recordAll({ ...options, forms });
  return forms.uses;
};

for (const [name, options] of Object.entries(traits)) {
  describe(`forms that are tried on ${name}`, () => {
    it("are few, each has a name, and the usual one is the first", () => {
      expect(usesOf(options).length).toBeGreaterThan(2);
      for (const { key, instance } of usesOf(options)) {
        const names = candidatesOf(instance).map((candidate) => candidate.name);
        expect(names[0], key).toBe("usual");
        expect(new Set(names).size, key).toBe(names.length);
        expect(names.length, key).toBeLessThanOrEqual(5);
      }
    });

    it("are other programs than the usual one, and a table brings them about by their names", () => {
      const usual = print(recordAll(options));
      for (const { key, instance } of usesOf(options)) {
        const programs = new Set<string>();
        for (const { name } of candidatesOf(instance)) {
          const graph = recordAll({ ...options, forms: chooserOf(tableOf("any", { [key]: name })) });
          const program = JSON.stringify([print(graph), graph.calls.map(({ consts, params }) => [consts, params])]);
          expect(programs.has(program), `${key}: ${name}`).toBe(false);
          programs.add(program);
          if (name === "usual") expect(print(graph)).toBe(usual);
        }
      }
    });

    it("fall back to the usual one where an entry is unknown or no longer a form", () => {
      const usual = print(recordAll(options));
      const entries = Object.fromEntries(usesOf(options).map(({ key }) => [key, "tiled 7x7/99"]));
      const stale = chooserOf(tableOf("any", { ...entries, "linear f8 1x1 out=1": "direct" }));
      expect(print(recordAll({ ...options, forms: stale }))).toBe(usual);
    });
  });
}

it("a form that is asked for by name is taken whatever a table says", () => {
  const graph = (variant?: "tiled") => {
    const forms = chooserOf(tableOf("any", { "conv2d f32 1x8x8x8 out=8": "direct" }));
    const made = new Graph({ dtype: "f32", forms });
    const x = made.input("x", [1, 8, 8, 8], "f32", "step");
    conv2d(x, new Scope(made), { out: 8, ...(variant ? { variant } : {}) });
    return print(made);
  };
  expect(graph()).toContain("conv2dDirect");
  expect(graph("tiled")).not.toContain("conv2dDirect");
});

it("one choice serves all that an op adds at its end", () => {
  const forms = new Collector();
  const graph = new Graph({ dtype: "f32", forms });
  const x = graph.input("x", [1, 8, 8, 8], "f32", "step");
  conv2d(x, new Scope(graph, "a"), { out: 8, act: "silu" });
  conv2d(x, new Scope(graph, "b"), { out: 8, bias: false, residual: x });
  conv2d(x, new Scope(graph, "c"), { out: 8, kernel: 1 });
  expect(forms.uses.map(({ key, runs }) => [key, runs])).toEqual([
    ["conv2d f32 1x8x8x8 out=8", 2],
    ["conv2d f32 1x8x8x8 kernel=1 out=8", 1],
  ]);
});

describe("tables that come with the package", () => {
  it("name forms that there are, and an adapter each", () => {
    expect(new Set(measured.map(({ adapter }) => adapter)).size).toBe(measured.length);
    for (const { id, adapter, entries } of measured) {
      expect(tableOf(adapter, entries).id).toBe(id);
      expect(Object.values(entries).filter((form) => form !== "usual").length).toBeGreaterThan(0);
      for (const form of Object.values(entries)) expect(["usual", "chunked", "whole", "rows"]).toContain(form);
    }
  });
});

interface OpCase {
  readonly name: string;
  readonly record: (bench: Bench) => ReturnType<typeof conv2d>;
  readonly expected: () => ArrayLike<number>;
}

const image = random("x", [2, 9, 7, 16]);
const weight = random("weight", [20, 16, 3, 3], { scale: 1 / 12 });
const tokens = random("tokens", [2, 33, 24]);
const few = random("few", [1, 3, 16]);
const matrix = random("matrix", [12, 24], { scale: 0.2 });
const narrow = random("narrow", [12, 16], { scale: 0.25 });
const bias = random("bias", [12]);
const q = random("q", [2, 70, 16]);
const k = random("k", [2, 37, 16]);
const v = random("v", [2, 37, 16]);
const scale = random("scale", [16]);
const shift = random("shift", [16]);
const opCases: readonly OpCase[] = [
  {
    name: "conv2d",
    record: (bench) => conv2d(bench.input(image), bench.scope("a", { weight }), { out: 20, bias: false, act: "silu" }),
    expected: () => reference.conv2d(image, weight, { act: "silu" }).values,
  },
  {
    name: "linear",
    record: (bench) => linear(bench.input(tokens), bench.scope("a", { weight: matrix, bias }), { out: 12 }),
    expected: () => reference.linear(tokens, matrix, { bias }).values,
  },
  {
    name: "linear, gated",
    record: (bench) =>
      linear(bench.input(tokens), bench.scope("a", { weight: matrix, bias }), { out: 6, act: "gelu", gated: true }),
    expected: () => reference.gated(reference.linear(tokens, matrix, { bias }), "gelu").values,
  },
  {
    name: "linear of few rows",
    record: (bench) => linear(bench.input(few), bench.scope("a", { weight: narrow, bias }), { out: 12 }),
    expected: () => reference.linear(few, narrow, { bias }).values,
  },
  {
    name: "attention",
    record: (bench) => attention(bench.input(q), bench.input(k), bench.input(v), { heads: 2 }),
    expected: () => reference.attention(q, k, v, { heads: 2 }).values,
  },
  {
    name: "groupNorm",
    record: (bench) => groupNorm(bench.input(image), bench.scope("a", { weight: scale, bias: shift }), { groups: 4 }),
    expected: () => reference.groupNorm(image, { groups: 4, weight: scale, bias: shift }).values,
  },
];

describeOneAdapter("each form that is tried computes the op, as in float64", ({ name: adapter }) => {
  for (const { name, record, expected } of opCases) {
    it(name, async () => {
      const device = await openDevice(adapter);
      const forms = new Map<string, Candidate>();
      for (const software of [false, true]) {
        const collector = new Collector();
        await runGraph(device, "f32", record, { software, winograd, forms: collector });
        for (const { instance } of collector.uses) {
          for (const one of candidatesOf(instance)) forms.set(one.name, one);
        }
      }
      expect(forms.size).toBeGreaterThan(1);
      for (const candidate of forms.values()) {
        const [y] = await runGraph(device, "f32", record, { winograd, forms: always(candidate) });
        expectClose(y!, expected(), tolerance.f32);
      }
      device.dispose();
    });
  }
});
