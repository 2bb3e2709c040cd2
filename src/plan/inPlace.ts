import type { Call, Graph, Window } from "../graph/graph.js";

/** Indices of the first and the last call that touch a value. */
export interface Span {
  first: number;
  last: number;
}

/**
 * The calls that write a value over the one that they read, and that one's id; undefined where a call does not work so,
 * or where the value read is needed later. `spans` are those of the values that may share memory.
 */
export function writersInPlace(
  graph: Graph,
  id: number,
  spans: ReadonlyMap<number, Span>,
): { source: number; writers: readonly Call[] } | undefined {
  const { first, last } = spans.get(id)!;
  const calls = graph.calls.slice(first, last + 1);
  const writers = calls.filter(({ writes }) => writes.some(({ tensor }) => tensor.id === id));
  const sources = new Set(writers.map((call) => sourceOf(call)));
  const [source] = sources;
  if (sources.size !== 1 || source === undefined) return undefined;
  const span = spans.get(source);
  if (!span || graph.storages[source]!.size !== graph.storages[id]!.size) return undefined;
  // Whoever touches the source from the first writer on writes the value.
  const others = graph.calls.slice(first, span.last + 1).filter((call) => !writers.includes(call));
  return others.some((call) => touches(call, source)) ? undefined : { source, writers };
}

/** The value that a call of one write may write over: it reads the same part of it, and nothing else of it. */
function sourceOf({ kernel, reads, writes }: Call): number | undefined {
  if (!kernel.inPlace || writes.length > 1) return undefined;
  const read = reads[kernel.reads.indexOf(kernel.inPlace[0])];
  const write = writes[0]!;
  if (!read || !samePart(read, write)) return undefined;
  return reads.filter((other) => other?.tensor.id === read.tensor.id).length === 1 ? read.tensor.id : undefined;
}

const samePart = (a: Window, b: Window): boolean =>
  a.tensor.dtype === b.tensor.dtype && a.offset === b.offset && a.length === b.length;

const touches = ({ reads, writes }: Call, id: number): boolean =>
  reads.some((read) => read?.tensor.id === id) || writes.some(({ tensor }) => tensor.id === id);
