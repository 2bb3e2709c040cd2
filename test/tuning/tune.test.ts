// What measuring keeps and what it drops, in its time.
import { describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { Graph } from "../../src/graph/graph.js";
import type { Conv2dOptions } from "../../src/ops/conv2d.js";
import { conv2dReferenceKernel } from "../../src/ops/conv2dReference.js";
import { type Candidate, usual } from "../../src/tuning/candidates.js";
import type { Use } from "../../src/tuning/choosers.js";
import { close } from "../../src/tuning/closeness.js";
import { race } from "../../src/tuning/race.js";
import { type TuneOptions, type TuneProgress, tuneOps } from "../../src/tuning/tune.js";
import { describeOneAdapter } from "../harness/adapters.js";
import { openDevice, pack } from "../harness/gpu.js";

describe("a race", () => {
  const disturbed = (time: number, passes: number) => time * (passes > 10 && passes < 16 ? 3 : 1);
  /** Work that takes so long each, on a clock that a disturbance slows down for two rounds. */
  const run = (times: readonly number[], isOver: (passes: number) => boolean = () => false, shown = disturbed) => {
    let passes = 0;
    const runs = times.map(() => 0);
    const work = times.map((_, i) => (pass: GPUComputePassEncoder) => void pass.setPipeline(i as never));
    const clock = {
      async once(encode: (pass: GPUComputePassEncoder) => void, repeats: number) {
        let index = 0;
        const setPipeline = (i: unknown) => {
          index = i as number;
        };
        encode({ setPipeline } as unknown as GPUComputePassEncoder);
        passes++;
        runs[index]!++;
        return shown(times[index]! * repeats, passes);
      },
    };
    return race(clock, work, () => isOver(passes)).then((ratios) => ({ ratios, runs }));
  };

  it("gives times by that of the first, whatever disturbs both", async () => {
    const { ratios } = await run([10, 9, 10.1]);
    expect(ratios![0]).toBe(1);
    expect(ratios![1]).toBeCloseTo(0.9);
    expect(ratios![2]).toBeCloseTo(1.01);
  });

  it("does not run again what is much slower", async () => {
    const { runs } = await run([10, 40, 9]);
    expect(runs[1]).toBeLessThan(runs[2]!);
    expect(runs[1]).toBe(3); // to warm up, and two rounds
  });

  it("gives nothing where the time is over before enough rounds", async () => {
    expect((await run([10, 9], (passes) => passes > 5)).ratios).toBeUndefined();
    expect((await run([10, 9], (passes) => passes > 8)).ratios).toHaveLength(2);
  });

  const onClock = (shown: (time: number, passes: number) => number) => run([10, 9, 40], () => false, shown);

  it.each<[string, (time: number, passes: number) => number]>([
    ["stands still", () => 0],
    ["runs backwards", (time) => -time],
    ["stands still after two rounds", (time, passes) => (passes > 3 + 1 + 6 ? 0 : time)],
  ])("gives nothing where the clock %s", async (_, shown) => {
    expect((await onClock(shown)).ratios).toBeUndefined();
  });

  it("leaves out rounds in which the clock stood still or ran backwards", async () => {
    const { ratios, runs } = await onClock((time, passes) => (passes === 5 ? 0 : passes === 9 ? -time : time));
    expect(ratios).toEqual([1, 0.9, 4]);
    expect(runs[2]).toBe(1 + 4); // what is much slower is told by two rounds that count
  });
});

describe("results of two forms", () => {
  const bytes = (values: number[]) => pack(values, "f32").subarray(0, values.length * 4);
  const values = Array.from({ length: 999 }, (_, i) => Math.sin(i));

  it("are close where only rounding differs", () => {
    const rounded = values.map((value) => value * (1 + 1e-6));
    expect(close(bytes(rounded), bytes(values), "f32")).toBe(true);
  });

  it.each<[string, number[]]>([
    ["one value is wrong", values.map((value, i) => (i === 500 ? value + 0.01 : value))],
    ["all are a little off", values.map((value) => value * 1.001)],
    ["one is no number", values.map((value, i) => (i === 500 ? Number.NaN : value))],
    ["some are missing", values.slice(1)],
  ])("are not where %s", (_, other) => {
    expect(close(bytes(other), bytes(values), "f32")).toBe(false);
  });
});

/** A convolution in the slow plain form, as if that were the usual one. */
function slow(key = "a"): Use {
  const graph = new Graph({ dtype: "f32" });
  const x = graph.input("x", [1, 32, 32, 32], "f32", "step");
  return {
    key,
    runs: 1,
    instance: { op: "conv2d", inputs: [x], options: { out: 32, variant: conv2dReferenceKernel } },
  };
}
const named = (name: string, form: Partial<Conv2dOptions>): Candidate => ({ name, form: form as Candidate["form"] });
const faster = named("faster", { variant: "direct" });
/** A ninth of the products, of another result. */
const wrong = named("wrong", { variant: "direct", kernel: 1, pad: [0, 0, 0, 0] });
const refused = named("refused", { variant: "matrix" });

/** What was measured in the end. */
async function measuredOf(...[device, uses, options]: [Device, Use[], TuneOptions]): Promise<Record<string, string>> {
  const measured = {};
  await tuneOps(device, uses, measured, options);
  return measured;
}

describeOneAdapter("tuning", ({ name }) => {
  it("takes the fastest form that computes the same; what differs or is refused is dropped", async () => {
    const device = await openDevice(name);
    const tune = (candidates: Candidate[]) =>
      measuredOf(device, [slow()], { seconds: 60, candidates: () => [usual, ...candidates] });
    expect(await tune([wrong, refused, faster])).toEqual({ a: "faster" });
    expect(await tune([wrong, refused])).toEqual({ a: "usual" });
    device.check(); // what was refused left no error behind
    device.dispose();
  });

  it("keeps to its time, tells how far it is, and stops when asked to, with what it has by then", async () => {
    const device = await openDevice(name);
    const uses = ["a", "b", "c"].map(slow);
    const candidates = () => [usual, faster];
    const news: TuneProgress[] = [];
    const onProgress = (progress: TuneProgress) => void news.push(progress);
    expect(await measuredOf(device, uses, { seconds: 0, candidates, onProgress })).toEqual({});
    expect(news).toEqual([{ done: 0, total: 3 }]);

    const stop = new AbortController();
    const reason = new Error("enough");
    const measured = {};
    const stopped = tuneOps(device, uses, measured, {
      seconds: 60,
      candidates,
      signal: stop.signal,
      onProgress: ({ done }) => {
        if (done === 1) stop.abort(reason);
      },
    });
    await expect(stopped).rejects.toBe(reason);
    expect(Object.keys(measured)).toHaveLength(1);
    device.dispose();
  });
});
