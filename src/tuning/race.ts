import type { Clock, Encode } from "../plan/clock.js";

/** Timed passes of each. */
const rounds = 7;
/** Rounds after which a time can be believed. */
const fewest = 3;
/** What is so much slower after two rounds does not run again. */
const hopeless = 1.25;
/** Milliseconds that a pass lasts at least: browsers round timestamps to a tenth of one. */
const leastPass = 5;
const mostRepeats = 500;

/**
 * Times pieces of work in turns, so that what disturbs one disturbs its neighbours as well. Gives of each the median of its
 * times by those of the first in the same round; undefined where there was no time for enough rounds, or where the clock
 * did not go on in them: WebGPU lets timestamps stand still and run backwards.
 */
export async function race(
  clock: Pick<Clock, "once">,
  work: readonly Encode[],
  isOver: () => boolean,
): Promise<number[] | undefined> {
  for (const encode of work) await clock.once(encode, 1); // caches are cold
  const repeats = await repeatsOf(clock, work[0]!);
  const ratios: number[][] = work.map(() => []);
  for (let round = 0; round < rounds; round++) {
    if (isOver()) break;
    const times = new Map<number, number>();
    for (const [i, encode] of work.entries()) {
      if (ratios[i]!.length >= 2 && median(ratios[i]!) > hopeless) continue;
      times.set(i, await clock.once(encode, repeats));
    }
    if ([...times.values()].some((time) => !(time > 0))) continue;
    for (const [i, time] of times) ratios[i]!.push(time / times.get(0)!);
  }
  return ratios[0]!.length < fewest ? undefined : ratios.map(median);
}

/** How often a pass holds the work to last long enough. */
async function repeatsOf(clock: Pick<Clock, "once">, encode: Encode): Promise<number> {
  for (let repeats = 1; ; ) {
    const time = await clock.once(encode, repeats);
    if (time >= leastPass || repeats === mostRepeats) return repeats;
    repeats = Math.min(mostRepeats, Math.ceil((1.2 * repeats * leastPass) / Math.max(time, 0.1)));
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half) - 1]!) / 2;
}
