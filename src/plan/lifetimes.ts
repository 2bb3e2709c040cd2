import { dtypeBytes } from "../core/dtype.js";
import { alignUp } from "../core/shape.js";
import type { Graph, Phase } from "../graph/graph.js";

/** From the first call that writes an intermediate to the last that touches it, as indices into the graph's calls. */
export interface Lifetime {
  readonly id: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Bytes of a storage; buffers end at a multiple of 16, since kernels read vec4. */
export const storageBytes = (graph: Graph, id: number): number => {
  const { size, dtype } = graph.storages[id]!;
  return alignUp(size * dtypeBytes[dtype], 16);
};

/**
 * Which intermediates may share memory, and for how long each is needed. Values that leave their phase (read by a later
 * one, or named as outputs) are pinned instead: they keep a buffer of their own.
 */
export function lifetimes(graph: Graph): { shared: Lifetime[]; pinned: Set<number> } {
  const spans = new Map<number, { first: number; last: number }>();
  const pinned = new Set<number>();
  const touch = (id: number, call: number, phase: Phase) => {
    const storage = graph.storages[id]!;
    if (storage.kind !== "intermediate") return;
    const span = spans.get(id);
    if (span) span.last = call;
    else spans.set(id, { first: call, last: call });
    if (storage.phase !== phase || graph.outputs.has(id)) pinned.add(id);
  };
  for (const [index, call] of graph.calls.entries()) {
    for (const read of call.reads) if (read) touch(read.tensor.id, index, call.phase);
    for (const write of call.writes) touch(write.tensor.id, index, call.phase);
  }
  const shared = [...spans]
    .filter(([id]) => !pinned.has(id))
    .map(([id, { first, last }]) => ({ id, bytes: storageBytes(graph, id), first, last }));
  return { shared, pinned };
}
