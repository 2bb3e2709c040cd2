import { dtypeBytes } from "../core/dtype.js";
import { alignUp } from "../core/shape.js";
import type { Call, Graph, Phase } from "../graph/graph.js";
import { type Span, writersInPlace } from "./inPlace.js";

/** From the first call that writes an intermediate to the last that touches it, as indices into the graph's calls. */
export interface Lifetime {
  /** Storage ids: several where a value is written over the one that it is made from. */
  readonly ids: readonly number[];
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Bytes of a storage; buffers end at a multiple of 16, since kernels read vec4. */
export const storageBytes = (graph: Graph, id: number): number => {
  const { size, dtype } = graph.storages[id]!;
  return alignUp(size * dtypeBytes[dtype], 16);
};

/** Bytes from which on a value is written in place: it takes a pipeline of its own. */
const worthPipeline = 8 << 20;

export interface Lifetimes {
  readonly shared: readonly Lifetime[];
  readonly pinned: ReadonlySet<number>;
  /** Calls that write over what they read. */
  readonly inPlace: ReadonlySet<Call>;
}

/**
 * Which intermediates may share memory, and for how long each is needed. Values that leave their phase (read by a later
 * one, or named as outputs) are pinned instead: they keep a buffer of their own. Values of at least `leastInPlace` bytes
 * are written over what they are made from where a kernel can do that.
 */
export function lifetimes(graph: Graph, leastInPlace = worthPipeline): Lifetimes {
  const spans = new Map<number, Span>();
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
  for (const id of pinned) spans.delete(id);
  const inPlace = new Set<Call>();
  const shared = new Map<number, Lifetime>();
  for (const [id, span] of [...spans].sort(([, a], [, b]) => a.first - b.first)) {
    const bytes = storageBytes(graph, id);
    const over = bytes >= leastInPlace ? writersInPlace(graph, id, spans) : undefined;
    const { ids, first } = (over && shared.get(over.source)) ?? { ids: [], first: span.first };
    const lifetime = { ids: [...ids, id], bytes, first, last: span.last };
    for (const member of lifetime.ids) shared.set(member, lifetime);
    for (const call of over?.writers ?? []) inPlace.add(call);
  }
  return { shared: [...new Set(shared.values())], pinned, inPlace };
}
