import type { Graph } from "../graph/graph.js";

/** Invocations that work on one row or group: few on a CPU, where each level of a reduction costs a barrier. */
export const reductionWorkgroup = (graph: Graph, usual: number): number => (graph.software ? 8 : usual);
