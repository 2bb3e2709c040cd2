// kernels: randn
import { describe, expect, it } from "vitest";
import { randn } from "../../src/ops/randn.js";
import { Bench, expectClose, onDevices, runGraph } from "../harness/gpu.js";

/** Philox 4x32-10 on the CPU, in 64-bit integers. */
function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const mask = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const p = 0xd2511f53n * c0;
    const q = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(q >> 32n) ^ c1 ^ k0, q & mask, (p >> 32n) ^ c3 ^ k1, p & mask];
    [k0, k1] = [(k0 + 0x9e3779b9n) & mask, (k1 + 0xbb67ae85n) & mask];
  }
  return [c0, c1, c2, c3].map(Number);
}

/** What the kernel should give, in float64. */
function normals(seed: readonly number[], count: number): number[] {
  const [low, high, stream] = seed as [number, number, number];
  return Array.from({ length: Math.ceil(count / 4) }, (_, block) => {
    const w = philox([block, 0, stream, 0], [low, high]).map((word) => word >>> 8);
    return [0, 2].flatMap((i) => {
      const radius = Math.sqrt(-2 * Math.log((w[i]! + 1) / 2 ** 24));
      const angle = (2 * Math.PI * w[i + 1]!) / 2 ** 24;
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  })
    .flat()
    .slice(0, count);
}

describe("Philox on the CPU", () => {
  it("gives the known answers", () => {
    const ones = 0xffffffff;
    const cases = [
      [
        [0, 0, 0, 0],
        [0, 0],
        [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
      ],
      [
        [ones, ones, ones, ones],
        [ones, ones],
        [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
      ],
      [
        [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
        [0xa4093822, 0x299f31d0],
        [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
      ],
    ] as const;
    for (const [counter, key, answer] of cases) expect(philox(counter, key)).toEqual(answer);
  });
});

onDevices("randn", ({ device }) => {
  const sample = async (seed: readonly number[], count: number) => {
    const build = (bench: Bench) => randn(bench.integers([4], seed), bench.graph.empty([count], "f32"));
    return (await runGraph(device(), "f32", build))[0]!;
  };

  it.each([
    [[0, 0, 0, 0], 1],
    [[0, 0, 0, 0], 1026],
    [[42, 0, 0, 0], 4096],
    [[0xffffffff, 0xdeadbeef, 7, 0], 333],
  ])("agrees with the CPU for seed %j, %i numbers", async (seed, count) => {
    expectClose(await sample(seed, count), normals(seed, count), 1e-10);
  });

  it.each([5, 8, 333])("gives each image of %i numbers what it would get alone", async (size) => {
    const seeds = [
      [1, 2, 3, 0],
      [9, 8, 7, 0],
      [1, 2, 4, 0],
    ];
    const build = (bench: Bench) => randn(bench.integers([3, 4], seeds.flat()), bench.graph.empty([3, size], "f32"));
    const all = (await runGraph(device(), "f32", build))[0]!;
    for (const [i, seed] of seeds.entries()) {
      expect(all.slice(i * size, (i + 1) * size)).toEqual(await sample(seed, size));
    }
  });

  it("gives the same numbers whatever the size, and others for another seed or stream", async () => {
    const base = await sample([5, 6, 0, 0], 1000);
    expect(await sample([5, 6, 0, 0], 1000)).toEqual(base);
    expect((await sample([5, 6, 0, 0], 5000)).slice(0, 1000)).toEqual(base);
    for (const seed of [
      [6, 6, 0, 0],
      [5, 7, 0, 0],
      [5, 6, 1, 0],
    ]) {
      const other = await sample(seed, 1000);
      const dot = other.reduce((sum, v, i) => sum + v * base[i]!, 0) / 1000;
      expect(Math.abs(dot)).toBeLessThan(0.15);
    }
  });

  it("has the moments of a standard normal", async () => {
    const values = await sample([2024, 0, 0, 0], 200_000);
    const moment = (n: number) => values.reduce((sum, v) => sum + v ** n, 0) / values.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.015);
    expect(Math.abs(moment(3))).toBeLessThan(0.03);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.12);
    const lag = values.reduce((sum, v, i) => sum + v * (values[i + 1] ?? 0), 0) / values.length;
    expect(Math.abs(lag)).toBeLessThan(0.01);
    expect(values.filter((v) => Math.abs(v) > 1.96).length / values.length).toBeCloseTo(0.05, 2);
  });

  it("fills a state and refuses other seeds", async () => {
    const bench = new Bench("f32");
    expect(() => randn(bench.integers([3], [1, 2, 3]), bench.graph.state("x", [4]))).toThrow(/seed is \[3\] u32/);
    expect(() => randn(bench.input({ shape: [4], values: new Float32Array(4) }), bench.graph.state("y", [4]))).toThrow(
      /f32/,
    );
  });
});
