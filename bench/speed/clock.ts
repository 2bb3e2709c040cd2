// Times on the device: timestamps around a compute pass, which holds the work often enough to be measured well.
import type { Device } from "../../src/gpu/device.js";
import { readBuffer } from "../../src/gpu/readback.js";
import type { Phase } from "../../src/graph/graph.js";
import type { Plan } from "../../src/plan/plan.js";

/** Times of one piece of work, sorted, in milliseconds. */
export interface Times {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly runs: number;
  /** How often each timed pass held the work. */
  readonly repeats: number;
  /** By timestamps of the device, or by the clock of the host where it has none. */
  readonly by: "device" | "host";
}

export interface TimingOptions {
  /** Timed passes after those that warm up; 20 by default. */
  readonly runs?: number;
  /** Milliseconds that a pass should last at least; software adapters do not repeat. */
  readonly least?: number;
}

export const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const list = sorted(values);
  const half = Math.floor(list.length / 2);
  return list.length % 2 ? list[half]! : (list[half - 1]! + list[half]!) / 2;
}

export const summary = (values: readonly number[], by: Times["by"], repeats = 1): Times => ({
  median: median(values),
  least: Math.min(...values),
  most: Math.max(...values),
  runs: values.length,
  repeats,
  by,
});

type Encode = (pass: GPUComputePassEncoder) => void;

/** Encodes the replay list of a phase, as the plan itself does. */
export const replay =
  (plan: Plan, phase: Phase): Encode =>
  (pass) => {
    for (const { pipeline, group, call } of plan.list(phase)) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(call.grid[0], call.grid[1], call.grid[2]);
    }
  };

/** Median time of what `encode` puts into a pass. */
export async function timed(device: Device, encode: Encode, options: TimingOptions = {}): Promise<Times> {
  const { runs = 20 } = options;
  const { software, timestamps } = device.features;
  const clock = timestamps ? new Timestamps(device) : undefined;
  const once = async (repeats: number) => (clock ? clock.once(encode, repeats) : onHost(device, encode, repeats));
  try {
    // The first runs find clocks low and caches cold.
    const first = [await once(1), await once(1), await once(1)];
    const least = software ? 0 : (options.least ?? 5);
    const repeats = Math.min(500, Math.max(1, Math.ceil(least / Math.max(Math.min(...first), 0.002))));
    if (!software) for (let i = 0; i < 3; i++) await once(repeats);
    const values: number[] = [];
    for (let i = 0; i < runs; i++) values.push((await once(repeats)) / repeats);
    return summary(values, clock ? "device" : "host", repeats);
  } finally {
    clock?.dispose();
  }
}

async function onHost(device: Device, encode: Encode, repeats: number): Promise<number> {
  const started = performance.now();
  const encoder = device.gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < repeats; i++) encode(pass);
  pass.end();
  device.gpu.queue.submit([encoder.finish()]);
  await device.idle();
  return performance.now() - started;
}

/** Two timestamps and the buffer that they are read from. */
class Timestamps {
  private readonly querySet: GPUQuerySet;
  private readonly resolved: GPUBuffer;

  constructor(private readonly device: Device) {
    this.querySet = device.gpu.createQuerySet({ label: "clock", type: "timestamp", count: 2 });
    this.resolved = device.buffer("timestamps", 16, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
  }

  async once(encode: Encode, repeats: number): Promise<number> {
    const { querySet, resolved } = this;
    const encoder = this.device.gpu.createCommandEncoder({ label: "timed" });
    const timestampWrites = { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    const pass = encoder.beginComputePass({ label: "timed", timestampWrites });
    for (let i = 0; i < repeats; i++) encode(pass);
    pass.end();
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    this.device.gpu.queue.submit([encoder.finish()]);
    const bytes = await readBuffer(this.device, resolved, 0, 16);
    const [begin, end] = new BigUint64Array(bytes.buffer, bytes.byteOffset, 2) as unknown as [bigint, bigint];
    return Number(end - begin) / 1e6;
  }

  dispose(): void {
    this.querySet.destroy();
    this.resolved.destroy();
  }
}
