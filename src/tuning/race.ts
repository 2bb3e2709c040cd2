import type { Clock, Encode } from "../plan/clock.js";

/** Timed passes of each. */
const rounds = 7;
/** Rounds after which a time can be believed. */
const fewest = 3;
/** What is so much slower after two rounds does not run again. */
const hopeless = 1.25;
/** Milliseconds that a pass lasts at least: browsers round timestamps to a tenth of one. */
const leastPass = 5;

/**
 * Times pieces of work in turns, so that what disturbs one disturbs its neighbours as well. Gives of each the median of its
 * times by those of the first in the same round; undefined where there was no time for enough rounds.
 */
export async function race(
  clock: Pick<Clock, "once">,
  work: readonly Encode[],
  isOver: () => boolean,
): Promise<number[] | undefined> {
  const warm: number[] = [];
  for (const encode of work) warm.push(await clock.once(encode, 1));
  const repeats = Math.min(500, Math.max(1, Math.ceil(leastPass / Math.max(warm[0]!, 0.002))));
  const ratios: number[][] = work.map(() => []);
  for (let round = 0; round < rounds; round++) {
    if (isOver()) break;
    let first = 0;
    for (const [i, encode] of work.entries()) {
      if (round >= 2 && median(ratios[i]!) > hopeless) continue;
      const time = await clock.once(encode, repeats);
      if (i === 0) first = time;
      ratios[i]!.push(time / first);
    }
  }
  return ratios[0]!.length < fewest ? undefined : ratios.map(median);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half) - 1]!) / 2;
}
