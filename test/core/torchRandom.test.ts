import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TorchGenerator } from "../../src/core/torchRandom.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { fromFile } from "../../src/weights/node.js";
import { openSafetensors } from "../../src/weights/safetensors.js";

const close = (values: Float32Array, expected: readonly number[]) => {
  for (const [i, value] of expected.entries()) expect(values[i]).toBeCloseTo(value, 4);
};

interface Stored {
  readonly single: readonly {
    readonly seed: number;
    readonly count: number;
    /** Values are stored in steps of so many. */
    readonly every: number;
    readonly values: readonly number[];
    readonly sum: number;
  }[];
  readonly successive: readonly { readonly seed: number; readonly draws: readonly (readonly number[])[] }[];
}

const stored = JSON.parse(readFileSync("test/golden/tasks/randn.json", "utf8")) as Stored;

const largestError = (expected: readonly number[], value: (i: number) => number): number =>
  Math.max(...expected.map((x, i) => Math.abs(x - value(i))));

describe("the generator of PyTorch on the CPU", () => {
  it("gives torch.manual_seed(0); torch.randn(16)", () => {
    const expected = [
      -1.1258, -1.1524, -0.2506, -0.4339, 0.8487, 0.692, -0.316, -2.1152, 0.3223, -1.2633, 0.35, 0.3081, 0.1198, 1.2377,
      1.1168, -0.2473,
    ];
    close(new TorchGenerator(0).randn(16), expected);
  });

  it("gives torch.manual_seed(0); torch.randn(5): small tensors take another path", () => {
    close(new TorchGenerator(0).randn(5), [1.541, -0.2934, -2.1788, 0.5684, -1.0845]);
  });

  // Every sort of length: alone on the path of small tensors, one short of a block, a block, one more, the noise of a
  // picture of 512 pixels. bench/reference/seeds.py made the values.
  it.each(stored.single)("gives $count values of torch.randn for seed $seed", ({ seed, count, every, values, sum }) => {
    const noise = new TorchGenerator(seed).randn(count);
    expect(noise.length).toBe(count);
    expect(values.length).toBe(Math.ceil(count / every));
    expect(largestError(values, (i) => noise[i * every]!)).toBeLessThan(1e-6);
    expect(noise.reduce((a, b) => a + b, 0)).toBeCloseTo(sum, 2);
  });

  it.each(stored.successive)("gives call after call what torch.randn gives for seed $seed", ({ seed, draws }) => {
    const generator = new TorchGenerator(seed);
    for (const draw of draws) {
      const noise = generator.randn(draw.length);
      expect(largestError(draw, (i) => noise[i]!)).toBeLessThan(1e-6);
    }
  });

  it("redraws the last sixteen where the count is no multiple", () => {
    const whole = new TorchGenerator(7).randn(32);
    const odd = new TorchGenerator(7).randn(20);
    expect([...odd.subarray(0, 4)]).toEqual([...whole.subarray(0, 4)]);
    expect([...odd.subarray(4)]).not.toEqual([...whole.subarray(4, 20)]);
  });

  it("takes the low 32 bits of the seed, and goes on from call to call", () => {
    const generator = new TorchGenerator(3);
    const first = generator.randn(16);
    expect([...new TorchGenerator(2 ** 32 + 3).randn(16)]).toEqual([...first]);
    expect([...generator.randn(16)]).not.toEqual([...first]);
  });

  it("gives the start latents of the reference pictures", async () => {
    const folder = "test/golden/sticker";
    const { prompts } = JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as {
      prompts: { seed_of_start_latents: number }[];
    };
    const { tensors } = await openSafetensors(await fromFile(`${folder}/reference.safetensors`));
    expect(prompts.length).toBeGreaterThan(0);
    for (const [index, { seed_of_start_latents: seed }] of prompts.entries()) {
      const tensor = tensors.get(`p${index}.start_latents`)!;
      const expected = toFloat32(await tensor.source.read(tensor.begin, tensor.end), tensor.dtype);
      const noise = new TorchGenerator(seed).randn(expected.length);
      expect(Math.max(...expected.map((value, i) => Math.abs(value - noise[i]!)))).toBeLessThan(2e-6);
    }
  });
});
