import type { Graph, Phase } from "../graph/graph.js";
import { weightBytes } from "../graph/print.js";
import { lifetimes, storageBytes } from "./lifetimes.js";
import { assignSlots, floorBytes } from "./slots.js";

/** What a graph would take, found without a device. Bytes. */
export interface Measure {
  /** Dispatches of each phase. */
  readonly dispatches: Readonly<Record<Phase, number>>;
  readonly weights: number;
  /** Slots for intermediates, largest first. */
  readonly slots: readonly number[];
  /** Intermediates if each had a buffer of its own. */
  readonly unshared: number;
  /** Most bytes of intermediates alive at once: what no assignment can go below. */
  readonly floor: number;
  /** Inputs, states, outputs, and values that pass from one phase to the next. */
  readonly pinned: number;
}

export function measure(graph: Graph): Measure {
  const { shared, pinned } = lifetimes(graph);
  const count = (phase: Phase) => graph.calls.filter((call) => call.phase === phase).length;
  const kept = graph.storages.filter((s) => s.kind === "input" || s.kind === "state" || pinned.has(s.id));
  return {
    dispatches: { load: count("load"), prompt: count("prompt"), step: count("step") },
    weights: weightBytes(graph),
    slots: assignSlots(shared).sizes,
    unshared: lifetimes(graph, Number.POSITIVE_INFINITY).shared.reduce((sum, { bytes }) => sum + bytes, 0),
    floor: floorBytes(shared),
    pinned: kept.reduce((sum, s) => sum + storageBytes(graph, s.id), 0),
  };
}

/** Bytes of a pool that serves several graphs: slot i is as large as the largest i-th slot. */
export function poolBytes(measures: readonly Measure[]): number {
  const slots = Math.max(0, ...measures.map((m) => m.slots.length));
  return Array.from({ length: slots }, (_, i) => Math.max(...measures.map((m) => m.slots[i] ?? 0))).reduce(
    (a, b) => a + b,
    0,
  );
}
