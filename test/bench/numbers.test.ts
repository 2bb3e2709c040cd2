import { expect, it } from "vitest";
import { attentionRow, convAt, momentsOf, relativeError, sampled } from "../../bench/speed/float64.js";
import { conv, smallCases } from "../../bench/speed/opCases.js";
import { scaled, unit, valueAt } from "../../bench/speed/random.js";
import { randomBytes, randomSlice } from "../../bench/speed/randomModel.js";
import { fromHalf, toHalf } from "../../src/core/half.js";
import * as reference from "../ops/reference.js";

const values = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => valueAt(i, unit(seed)));

it("draws numbers that float16 holds, spread about zero and never zero", () => {
  const drawn = Array.from({ length: 10_000 }, (_, i) => valueAt(i, scaled(3, 320)));
  expect(drawn.filter((v) => fromHalf(toHalf(v)) !== v || v === 0)).toEqual([]);
  expect(Math.abs(drawn.reduce((a, b) => a + b) / drawn.length)).toBeLessThan(0.002);
  expect(Math.max(...drawn)).toBeLessThan(0.0625);
  expect(Math.max(...drawn)).toBeGreaterThan(0.062);
});

it("convolves an element as the loops over all of them do", () => {
  const x = { shape: [1, 5, 4, 3], values: values(60, 1) };
  const weight = { shape: [2, 3, 3, 3], values: values(54, 2) };
  const expected = reference.conv2d(x, weight, { stride: 2 });
  const taps = (i: number) => weight.values[(Math.floor(i / 27) * 3 + (i % 3)) * 9 + (Math.floor(i / 3) % 9)]!;
  const shape = {
    height: 5,
    width: 4,
    channels: 3,
    out: 2,
    kernel: 3,
    stride: 2,
    pad: [1, 1],
    gather: [5, 4],
  } as const;
  const [, , width] = expected.shape as [number, number, number];
  const actual = expected.values.map((_, i) => {
    const pixel = Math.floor(i / 2);
    return convAt((at) => x.values[at]!, taps, shape, 0, Math.floor(pixel / width), pixel % width, i % 2);
  });
  expect(relativeError(actual, expected.values)).toBeLessThan(1e-14);
});

it("attends as the loops do", () => {
  const [q, k, v] = [1, 2, 3].map((seed) => ({ shape: [2, 6, 8], values: values(96, seed) }));
  const expected = reference.attention(q!, k!, v!, { heads: 2 });
  const shape = { queries: 6, keys: 6, heads: 2, headSize: 4, scale: 0.5, causal: false };
  const row = attentionRow(
    (i) => q!.values[i]!,
    (i) => k!.values[i]!,
    (i) => v!.values[i]!,
    shape,
    1,
    4,
    1,
  );
  expect(relativeError(row, expected.values.subarray(84, 88))).toBeLessThan(1e-14);
});

it("takes moments of a group of channels", () => {
  const { mean, variance } = momentsOf((i) => [1, 9, 3, 9, 5, 9, 7, 9][i]!, 4, 2, 1, 0, 0);
  expect([mean, variance]).toEqual([4, 5]);
});

it("samples places all over, the last among them", () => {
  expect(sampled(5, 10)).toEqual([0, 1, 2, 3, 4]);
  const places = sampled(1_000_000, 100);
  expect(places.length).toBe(101);
  expect(Math.max(...places)).toBe(999_999);
  expect(new Set(places.map((i) => i % 64)).size).toBeGreaterThan(40);
});

it("tells the output of every small operator without its memory", () => {
  for (const item of smallCases()) expect(Number.isFinite(item.at(item.out.reduce((a, b) => a * b) - 1))).toBe(true);
  expect(conv(2, 64, 320, 320).flops).toBe(2 * 2 * 64 * 64 * 320 * 2880);
});

it("reads the bytes of a random tensor alike in any pieces", async () => {
  const request = { name: "a.weight", shape: [300, 700, 3, 3] };
  const whole = randomSlice(request);
  const part = await randomBytes(request).read(2_097_000, 2_098_000);
  expect(part).toEqual(whole.slice(2_097_000, 2_098_000));
  expect(Math.abs(fromHalf(whole[0]! + 256 * whole[1]!))).toBeLessThan(2 ** -5);
});
