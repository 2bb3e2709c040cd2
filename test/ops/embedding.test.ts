// kernels: embedding, timestepEmbedding
import { describe, expect, it } from "vitest";
import type { DType } from "../../src/core/dtype.js";
import { embedding } from "../../src/ops/embedding.js";
import { timestepEmbedding } from "../../src/ops/timestepEmbedding.js";
import { Bench, expectClose, forCases, random, runGraph, tolerance, uniform } from "../harness/gpu.js";

const tables = [
  { vocabulary: 50, channels: 32, length: 7, batch: 2 },
  { vocabulary: 5, channels: 3, length: 1, batch: 1 },
  { vocabulary: 7, channels: 24, length: 1, batch: 3, placeless: true },
  { vocabulary: 33, channels: 7, length: 5, batch: 3 },
  { vocabulary: 1000, channels: 12, length: 77, batch: 2, maxBinding: 2048 * 4 },
  { vocabulary: 777, channels: 33, length: 20, batch: 2, maxBinding: 2 ** 16 },
];

const showTable = (c: (typeof tables)[number]) =>
  `${c.batch} x ${c.length} of ${c.vocabulary} x ${c.channels}${c.maxBinding ? " in bands" : ""}${c.placeless ? ", no positions" : ""}`;

forCases("embedding", tables, showTable, async ({ device, dtype, item }) => {
  const { vocabulary, channels, length, batch, maxBinding } = item;
  const tokens = random("tokens", [vocabulary, channels], { dtype });
  const positions = random("positions", [length + 3, channels], { dtype });
  const next = uniform(3);
  const ids = Array.from({ length: batch * length }, () => Math.floor(next() * vocabulary));
  ids[0] = vocabulary - 1;
  let calls = 0;
  const build = (bench: Bench) => {
    const w = bench.scope("text", { tokens, positions });
    const y = embedding(
      bench.integers([batch, length], ids),
      w.matrix("tokens", tokens.shape),
      item.placeless ? undefined : w.matrix("positions", positions.shape),
    );
    calls = bench.graph.calls.length;
    return y;
  };
  const limit = maxBinding && (dtype === "f16" ? maxBinding / 2 : maxBinding);
  const [y] = await runGraph(device, dtype, build, limit ? { maxBinding: limit } : {});
  expect(calls > 1).toBe(maxBinding !== undefined);
  const expected = ids.flatMap((id, row) =>
    Array.from({ length: channels }, (_, c) => {
      const position = item.placeless ? 0 : positions.values[(row % length) * channels + c]!;
      return tokens.values[id * channels + c]! + position;
    }),
  );
  expectClose(y!, expected, tolerance[dtype]);
});

describe("embedding", () => {
  it("refuses ids of another type and too few positions", () => {
    const { graph } = new Bench("f32");
    const input = (shape: number[], dtype: DType) => graph.input("x", shape, dtype, "prompt");
    const table = input([9, 4], "f32");
    expect(() => embedding(input([1, 3], "f32"), table, table)).toThrow(/ids are \[1, 3\] f32/);
    expect(() => embedding(input([1, 12], "u32"), table, table)).toThrow(/positions are \[9, 4\]/);
  });
});

const embeddings = [
  { channels: 320 },
  { channels: 128, cosineFirst: false, frequencyShift: 1 },
  { channels: 9 },
  { channels: 1 },
  { channels: 2 },
  { channels: 64, maxPeriod: 100 },
];

forCases(
  "timestepEmbedding",
  embeddings,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { channels, cosineFirst = true, frequencyShift = 0, maxPeriod = 10000 } = item;
    const values = Float32Array.from([0, 1, 17, 0.25, 500.5, 981, 999]);
    const [y] = await runGraph(device, dtype, (bench) =>
      timestepEmbedding(bench.input({ shape: [values.length], values }, "f32"), item),
    );
    const half = Math.floor(channels / 2);
    const expected = [...values].flatMap((t) => {
      const angles = Array.from({ length: half }, (_, i) => t * maxPeriod ** (-i / (half - frequencyShift)));
      const [cosines, sines] = [angles.map(Math.cos), angles.map(Math.sin)];
      return [...(cosineFirst ? [...cosines, ...sines] : [...sines, ...cosines]), ...(channels % 2 ? [0] : [])];
    });
    // Float32 keeps an angle of 999 to 3e-5.
    if (channels > 1) expectClose(y!, expected, Math.max(tolerance[dtype], 1e-9));
    else expect([...y!]).toEqual(expected);
  },
);
