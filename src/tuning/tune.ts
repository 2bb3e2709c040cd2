import { WebldmError } from "../core/invariant.js";
import type { Device } from "../gpu/device.js";
import { type Clock, openClock, replay } from "../plan/clock.js";
import { type Candidate, candidatesOf, usual } from "./candidates.js";
import type { Use } from "./choosers.js";
import { close } from "./closeness.js";
import { race } from "./race.js";
import { RandomData } from "./randomData.js";
import { type Compiled, Trial } from "./trial.js";

/** How far tuning is. */
export interface TuneProgress {
  /** Ops of a shape that were measured. */
  readonly done: number;
  /** How many the model has that no table names yet. */
  readonly total: number;
  /** The op that was measured last, with its shape; undefined before the first. */
  readonly op?: string;
  /** The name of its fastest form. */
  readonly form?: string;
  /** How long that takes by the usual form's time. */
  readonly ratio?: number;
}

export interface TuneOptions {
  /** What the measuring may take. What is under way when they are over, such as a compilation, is finished. */
  readonly seconds: number;
  readonly onProgress?: ((progress: TuneProgress) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The forms to try; those of `candidatesOf` by default. */
  readonly candidates?: typeof candidatesOf;
}

/** A form takes the place of the usual one from here on: what is closer is noise. */
const worthwhile = 0.97;

/** The share of the time in which ops are looked at to tell which are worth the rest. */
const lookShare = 0.25;

/**
 * Measures ops in all their forms, those first that take the most of a request, until the time is over. `measured` gets the
 * name of each one's fastest form as soon as it is known: what was measured before an error, or a stop, is as right.
 */
export async function tuneOps(
  device: Device,
  uses: readonly Use[],
  measured: Record<string, string>,
  options: TuneOptions,
): Promise<void> {
  const { onProgress, signal } = options;
  const started = performance.now();
  const spent = () => (performance.now() - started) / 1000;
  const clock = openClock(device);
  const bench = new Workbench(device, clock, options.candidates ?? candidatesOf);
  try {
    await onProgress?.({ done: 0, total: uses.length });
    const shares = new Map<Use, number>();
    for (const use of uses) {
      signal?.throwIfAborted();
      if (spent() > options.seconds * lookShare) break;
      const time = await bench.timeUsual(use);
      if (time !== undefined) shares.set(use, time * use.runs);
    }
    const ranked = [...uses].sort((a, b) => (shares.get(b) ?? 0) - (shares.get(a) ?? 0));
    let done = 0;
    for (const use of ranked) {
      const isOver = () => {
        signal?.throwIfAborted();
        return spent() > options.seconds;
      };
      if (isOver()) break;
      const best = await bench.fastest(use, isOver);
      if (!best) continue;
      measured[use.key] = best.name;
      done++;
      await onProgress?.({ done, total: uses.length, op: use.key, form: best.name, ratio: best.ratio });
    }
  } finally {
    clock.dispose();
  }
}

class Workbench {
  private readonly data: RandomData;

  constructor(
    private readonly device: Device,
    private readonly clock: Clock,
    private readonly candidates: typeof candidatesOf,
  ) {
    this.data = new RandomData(device);
  }

  /** Milliseconds of an op in its usual form; undefined where the device has no room for it by itself. */
  timeUsual(use: Use): Promise<number | undefined> {
    return this.attempt(use, async (trial) => {
      const { plan } = await trial.compile(usual);
      await this.clock.once(replay(plan, "step"), 1); // caches are cold
      return this.clock.once(replay(plan, "step"), 1);
    });
  }

  /** The fastest form of an op that computes what the usual one does; undefined where the time was over before. */
  fastest(use: Use, isOver: () => boolean): Promise<{ name: string; ratio: number } | undefined> {
    return this.attempt(use, async (trial) => {
      const first = await trial.compile(usual);
      const expected = await first.result();
      const taken: { candidate: Candidate; compiled: Compiled }[] = [{ candidate: usual, compiled: first }];
      for (const candidate of this.candidates(use.instance).slice(1)) {
        if (isOver()) return undefined;
        const compiled = await this.compileLike(trial, candidate, expected);
        if (compiled) taken.push({ candidate, compiled });
      }
      const work = taken.map(({ compiled }) => replay(compiled.plan, "step"));
      const ratios = work.length > 1 ? await race(this.clock, work, isOver) : [1];
      if (!ratios) return undefined;
      const ratio = Math.min(...ratios);
      const name = taken[ratios.indexOf(ratio)]!.candidate.name;
      return ratio < worthwhile ? { name, ratio } : { name: usual.name, ratio: 1 };
    });
  }

  /** A form, unless the device does not take it or it computes something else. */
  private async compileLike(trial: Trial, candidate: Candidate, expected: Uint8Array): Promise<Compiled | undefined> {
    return this.unlessRefused(async () => {
      const compiled = await trial.compile(candidate);
      return close(await compiled.result(), expected, compiled.dtype) ? compiled : undefined;
    });
  }

  private attempt<T>(use: Use, work: (trial: Trial) => Promise<T>): Promise<T | undefined> {
    const trial = new Trial(this.device, use.instance, this.data);
    return this.unlessRefused(async () => work(trial)).finally(() => trial.dispose());
  }

  /** What this device cannot do is left out; a device that is lost can do nothing any more. */
  private async unlessRefused<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof WebldmError)) throw error;
      this.device.check();
      return undefined;
    }
  }
}
