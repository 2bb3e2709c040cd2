import { invariant } from "../core/invariant.js";
import type { Graph, Tensor, TunedOp } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { type AttentionOptions, attention } from "../ops/attention.js";
import { type Conv2dOptions, conv2d } from "../ops/conv2d.js";
import { type GroupNormOptions, groupNorm } from "../ops/groupNorm.js";
import { type LinearOptions, linear } from "../ops/linear.js";

interface Options {
  readonly conv2d: Conv2dOptions;
  readonly linear: LinearOptions;
  readonly attention: AttentionOptions;
  readonly groupNorm: GroupNormOptions;
}

/** An op as a model asked for it. */
export type Instance = {
  readonly [O in TunedOp]: { readonly op: O; readonly inputs: readonly Tensor[]; readonly options: Options[O] };
}[TunedOp];

/** Options that name a form. Whoever gives one of them means it. */
const formNames = new Set(["variant", "tiling", "block", "rows", "chunk"]);

/** Options that do not decide which form is the fastest: one choice serves all their values. */
const epilogue = new Set(["bias", "act", "actIn", "pointwise", "scale", "eps"]);

export const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "graph" in value;

/** What an op was called with, of which {@link FormChooser} knows the names only; undefined where it names a form. */
export function instanceOf(op: TunedOp, inputs: readonly Tensor[], options: object): Instance | undefined {
  if (Object.keys(options).some((name) => formNames.has(name))) return undefined;
  return { op, inputs, options } as Instance; // each op passes its own options
}

/** What instances of one choice have in common: op, types, shapes, and options that matter. */
export function keyOf({ op, inputs, options }: Instance): string {
  const x = inputs[0]!;
  const { dtype } = x.graph;
  const types = x.dtype === dtype ? dtype : `${x.dtype}>${dtype}`;
  const shapes = inputs.slice(0, 2).map(({ shape }) => (op === "linear" ? rowsOf(shape) : shape).join("x"));
  const named = Object.entries(options)
    .filter(([name, value]) => value !== undefined && !isTensor(value) && !epilogue.has(name))
    .map(([name, value]) => `${name}=${value}`)
    .sort();
  return [op, types, ...shapes, ...named].join(" ");
}

function rowsOf(shape: readonly number[]): readonly [number, number] {
  const width = shape.at(-1)!;
  return [shape.reduce((a, b) => a * b) / width, width];
}

/** Records an instance by itself: what it reads become inputs of the graph. */
export function recordAlone(graph: Graph, { op, inputs, options }: Instance): Tensor {
  const own = new Map<number, Tensor>();
  const fresh = ({ id, shape, dtype }: Tensor): Tensor => {
    const known = own.get(id) ?? graph.input(`input ${own.size}`, shape, dtype, "step");
    own.set(id, known);
    return known;
  };
  const taken = inputs.map(fresh);
  const alone = <T extends object>(given: T): T =>
    Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, isTensor(value) ? fresh(value) : value]),
    ) as T;
  const [x, k, v] = taken;
  invariant(x, `${op}: no input`);
  const w = new Scope(graph);
  switch (op) {
    case "conv2d":
      return conv2d(x, w, alone(options));
    case "linear":
      return linear(x, w, alone(options));
    case "groupNorm":
      return groupNorm(x, w, alone(options));
    case "attention":
      return attention(x, k!, v!, alone(options));
  }
}
