// kernels: gaussian, toRgba, nearestCode
import { describe, expect, it } from "vitest";
import { gaussian } from "../../src/ops/gaussian.js";
import { nearestCode } from "../../src/ops/nearestCode.js";
import { toRgba } from "../../src/ops/toRgba.js";
import { Bench, expectClose, forCases, random, rounded, runGraph } from "../harness/gpu.js";

const gaussians = [
  { shape: [2, 4, 5, 8], sample: true, scale: 0.18215 },
  { shape: [1, 1, 1, 2], sample: true },
  { shape: [3, 5, 3, 6], sample: false, scale: 2, shift: -0.5 },
];

forCases(
  "gaussian",
  gaussians,
  (c) => JSON.stringify(c),
  async ({ device, dtype, item }) => {
    const { shape, sample, scale = 1, shift = 0 } = item;
    const moments = random("moments", shape, { dtype, scale: 2 });
    if (moments.values.length > 20) moments.values.set([-60000, 60], 4); // log-variances beyond the clamp
    const channels = shape[3]! / 2;
    const noise = random("noise", [...shape.slice(0, 3), channels]);
    const [y] = await runGraph(device, dtype, (bench) =>
      gaussian(bench.input(moments), { scale, shift, ...(sample && { noise: bench.input(noise, "f32") }) }),
    );
    const stored = rounded(moments, dtype).values;
    const expected = noise.values.map((v, i) => {
      const at = Math.floor(i / channels) * channels * 2 + (i % channels);
      const deviation = Math.exp(Math.min(Math.max(stored[at + channels]!, -30), 20) / 2);
      return (stored[at]! + (sample ? deviation * v : 0)) * scale + shift;
    });
    expectClose(y!, expected, 1e-10); // in f32 whatever the moments
  },
);

forCases(
  "toRgba",
  [
    [2, 7, 5, 3],
    [1, 1, 1, 3],
  ],
  (shape) => `[${shape}]`,
  async ({ device, dtype, item: shape }) => {
    const x = random("x", shape, { dtype });
    x.values.set([-1, 1, 0].slice(0, x.values.length));
    if (x.values.length > 9) x.values.set([-7, 7, 0.5, -1.0001, 1.0001, 2 / 255 - 1], 3);
    const data = rounded(x, dtype);
    const [y] = await runGraph(device, dtype, (bench) => toRgba(bench.input(data)));
    const level = (v: number) => 255 * Math.min(Math.max((v + 1) / 2, 0), 1);
    for (const [p, word] of y!.entries()) {
      const bytes = [word & 255, (word >>> 8) & 255, (word >>> 16) & 255];
      expect(word >>> 24).toBe(255);
      for (const [c, byte] of bytes.entries()) {
        expect(Math.abs(byte - level(data.values[p * 3 + c]!))).toBeLessThanOrEqual(0.5 + 1e-4);
      }
    }
  },
);

forCases(
  "nearestCode",
  [
    [2, 5, 7, 4],
    [1, 1, 1, 3],
    [1, 13, 17, 1],
  ],
  (s) => `[${s}]`,
  async ({ device, dtype, item: shape }) => {
    const x = random("x", shape, { dtype });
    const channels = shape[3]!;
    const codes = random("codes", [37, channels], { dtype });
    codes.values.copyWithin(20 * channels, 10 * channels, 11 * channels); // a tie: the first one wins
    const [indices, quantised] = await runGraph(device, dtype, (bench) => {
      const result = nearestCode(bench.input(x), bench.scope("quantize", { codes }).matrix("codes", codes.shape));
      return [result.indices, result.quantised];
    });
    const distance = (p: number, code: number) => {
      let sum = 0;
      for (let c = 0; c < channels; c++) sum += (x.values[p * channels + c]! - codes.values[code * channels + c]!) ** 2;
      return sum;
    };
    for (const [p, code] of indices!.entries()) {
      const distances = Array.from({ length: 37 }, (_, i) => distance(p, i));
      expect(code).not.toBe(20);
      expect(distances[code]!).toBeLessThanOrEqual(Math.min(...distances) * (1 + 1e-5));
      const chosen = codes.values.subarray(code * channels, (code + 1) * channels);
      expect([...quantised!.subarray(p * channels, (p + 1) * channels)]).toEqual([...chosen]);
    }
  },
);

describe("first-stage operators", () => {
  it("refuse what does not fit", () => {
    const bench = new Bench("f32");
    const input = (...shape: number[]) => bench.graph.input("x", shape, "f32", "step");
    expect(() => gaussian(input(1, 2, 2, 3))).toThrow(/do not split/);
    expect(() => gaussian(input(1, 2, 2, 4), { noise: input(1, 2, 2, 4) })).toThrow(
      /noise is \[1, 2, 2, 4\] f32, expected \[1, 2, 2, 2\]/,
    );
    expect(() => toRgba(input(1, 2, 2, 4))).toThrow(/expected \[N, H, W, 3\]/);
    expect(() => nearestCode(input(1, 2, 2, 4), input(9, 3))).toThrow(/expected \[codes, 4\]/);
  });
});
