// Times on the device: timestamps around a compute pass, which holds the work often enough to be measured well.
import type { Device } from "../../src/gpu/device.js";
import { type Encode, openClock } from "../../src/plan/clock.js";

export { replay } from "../../src/plan/clock.js";

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

/** Milliseconds of work, in passes of these milliseconds, after which a GPU's clocks have risen. */
const warmUp = 400;
const longPass = 50;

async function several(count: number, once: () => Promise<number>): Promise<number[]> {
  const values: number[] = [];
  for (let i = 0; i < count; i++) values.push(await once());
  return values;
}

/** Median time of what `encode` puts into a pass. */
export async function timed(device: Device, encode: Encode, options: TimingOptions = {}): Promise<Times> {
  const { runs = 20 } = options;
  const { software } = device.features;
  const clock = openClock(device);
  const once = (repeats: number) => clock.once(encode, repeats);
  try {
    const first = Math.min(await once(1), await once(1), await once(1)); // caches are cold before
    const times = (milliseconds: number, each: number) =>
      Math.min(500, Math.max(1, Math.ceil(milliseconds / Math.max(each, 0.002))));
    if (software) return summary(await several(runs, () => once(1)), clock.by);
    // A GPU that idled while something compiled has clocks so low that all takes up to six times as long. They rise only
    // while it is busy without a pause.
    const long = times(longPass, first);
    const started = performance.now();
    let last = 0;
    while (performance.now() - started < warmUp) last = await once(long);
    const repeats = times(options.least ?? 5, last / long);
    return summary(await several(runs, async () => (await once(repeats)) / repeats), clock.by, repeats);
  } finally {
    clock.dispose();
  }
}
