import type { Lifetime } from "./lifetimes.js";

export interface Slots {
  /** Bytes of each slot, largest first. */
  readonly sizes: readonly number[];
  /** Slot of each intermediate, by storage id. */
  readonly slotOf: ReadonlyMap<number, number>;
}

/**
 * Assigns intermediates to whole buffers: largest first, each takes the tightest slot that is free for its lifetime.
 * Whole buffers, because WebGPU refuses a dispatch that binds one buffer both read-only and writable, even at disjoint
 * ranges. With `alias` off every value gets a buffer of its own.
 */
export function assignSlots(values: readonly Lifetime[], alias = true): Slots {
  const slots: { bytes: number; held: Lifetime[] }[] = [];
  const slotOf = new Map<number, number>();
  const bySize = [...values].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  for (const value of bySize) {
    const free = (slot: { held: Lifetime[] }) =>
      slot.held.every((other) => other.last < value.first || value.last < other.first);
    // Slots were opened in order of falling size, so the last free one is the tightest.
    let index = alias ? slots.findLastIndex(free) : -1;
    if (index < 0) index = slots.push({ bytes: value.bytes, held: [] }) - 1;
    slots[index]!.held.push(value);
    for (const id of value.ids) slotOf.set(id, index);
  }
  return { sizes: slots.map((slot) => slot.bytes), slotOf };
}

/** The least memory any assignment could do with: the largest sum of bytes alive at once. */
export function floorBytes(values: readonly Lifetime[]): number {
  const events = values.flatMap(({ first, last, bytes }) => [
    { at: first, bytes },
    { at: last + 1, bytes: -bytes },
  ]);
  events.sort((a, b) => a.at - b.at || a.bytes - b.bytes);
  let alive = 0;
  let most = 0;
  for (const event of events) {
    alive += event.bytes;
    most = Math.max(most, alive);
  }
  return most;
}
