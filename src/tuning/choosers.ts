import type { TuningTable } from "../core/tuningTable.js";
import type { FormChooser, Phase, Tensor, TunedOp } from "../graph/graph.js";
import { type Candidate, candidatesOf } from "./candidates.js";
import { type Instance, instanceOf, keyOf } from "./instance.js";

/** Chooses by a table. What it does not name, or names in a way that no longer exists, takes the usual form. */
export function chooserOf(table: TuningTable): FormChooser {
  return {
    table,
    choose(op, inputs, options) {
      const instance = instanceOf(op, inputs, options);
      const name = instance && table.entries[keyOf(instance)];
      const chosen = name === undefined ? undefined : candidatesOf(instance!).find((one) => one.name === name);
      return chosen ? { ...options, ...chosen.form } : options;
    },
  };
}

/** Records every op in one form: for graphs of a single op. */
export const always = ({ form }: Candidate): FormChooser => ({
  choose: (_op, _inputs, options) => ({ ...options, ...form }),
});

/** An op that a model asks for, with how often a request runs it. */
export interface Use {
  readonly key: string;
  readonly instance: Instance;
  runs: number;
}

/** Notes the ops of programs while they are recorded. */
export class Collector implements FormChooser {
  private readonly found = new Map<string, Use>();
  /** How often a request runs the step phase of what is being recorded. */
  steps = 1;

  choose<O extends object>(op: TunedOp, inputs: readonly Tensor[], options: O): O {
    const instance = instanceOf(op, inputs, options);
    if (!instance) return options;
    const key = keyOf(instance);
    const use = this.found.get(key) ?? { key, instance, runs: 0 };
    use.runs += inputs.some((input) => phaseOf(input) === "step") ? this.steps : 1;
    this.found.set(key, use);
    return options;
  }

  /** Those that could be done in more than one way. */
  get uses(): Use[] {
    return [...this.found.values()].filter(({ instance }) => candidatesOf(instance).length > 1);
  }
}

const phaseOf = (tensor: Tensor): Phase => tensor.graph.storage(tensor).phase;
