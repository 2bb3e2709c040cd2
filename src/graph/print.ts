import { dtypeBytes } from "../core/dtype.js";
import { showShape } from "../core/shape.js";
import type { Graph, Window } from "./graph.js";

/** The program as text, a call a line: phase, label, shapes read, shapes written, grid. */
export function print(graph: Graph): string {
  const show = (window: Window | undefined) => {
    if (!window) return "-";
    const { tensor } = window;
    const storage = graph.storage(tensor);
    const name = storage.kind === "intermediate" ? `%${tensor.id}` : storage.label;
    return `${name}:${tensor.dtype}${showShape(tensor.shape)}`;
  };
  return graph.calls
    .map((call) => {
      const writes = call.writes.map(show).join(", ");
      return `${call.phase.padEnd(6)} ${writes} = ${call.label}(${call.reads.map(show).join(", ")}) @ ${call.grid.join("x")}`;
    })
    .join("\n");
}

/** Bytes of the weights that a graph asks for. */
export const weightBytes = (graph: Graph): number =>
  graph.storages.reduce((sum, s) => sum + (s.kind === "weight" ? s.size * dtypeBytes[s.dtype] : 0), 0);
