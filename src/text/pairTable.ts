import { invariant } from "../core/invariant.js";
import { MinHeap } from "./minHeap.js";

const rankUnit = 2 ** 32; // a heap key is rank * 2^32 + position: ordered by rank, then from left to right

/** The merges of a byte-pair vocabulary: which neighbouring tokens join, in which order of preference. */
export class PairTable {
  private readonly ranks = new Map<number, number>();
  private readonly joined: number[] = [];

  /** @param stride one more than the largest token id, so that two ids pack into one exact number */
  constructor(private readonly stride: number) {
    invariant(stride <= 2 ** 26, `vocabulary: the largest id must be below 2^26, got ${stride - 1}`);
  }

  /** Appends the next merge in order of preference. */
  add(left: number, right: number, joined: number): void {
    this.ranks.set(left * this.stride + right, this.joined.length);
    this.joined.push(joined);
  }

  /**
   * Joins the best-ranked neighbouring pair, leftmost first, until none is left. Takes n log n steps: the symbols are a
   * linked list and the candidate pairs wait in a heap, where pairs that a join has made stale are skipped.
   */
  merge(symbols: readonly number[]): number[] {
    const ids = symbols.slice();
    const next = ids.map((_, i) => i + 1);
    const previous = ids.map((_, i) => i - 1);
    const end = ids.length;
    const heap = new MinHeap();
    const rankAt = (at: number): number | undefined => {
      const right = next[at]!;
      return right < end ? this.ranks.get(ids[at]! * this.stride + ids[right]!) : undefined;
    };
    const consider = (at: number): void => {
      const rank = rankAt(at);
      if (rank !== undefined) heap.push(rank * rankUnit + at);
    };

    for (let at = 0; at + 1 < end; at++) consider(at);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const at = key % rankUnit;
      const rank = (key - at) / rankUnit;
      if (ids[at] === -1 || rankAt(at) !== rank) continue;
      const right = next[at]!;
      const after = next[right]!;
      ids[at] = this.joined[rank]!;
      ids[right] = -1;
      next[at] = after;
      if (after < end) previous[after] = at;
      if (previous[at]! >= 0) consider(previous[at]!);
      consider(at);
    }
    return ids.filter((id) => id !== -1);
  }
}
