import { defaultDevice, init, type Array as JaxArray, jit, numpy as np } from "@jax-js/jax";
import type { Contender } from "./contender.js";
import { jaxNet } from "./jaxNet.js";
import type { Numbers } from "./net.js";

/** jax-js, its WebGPU backend, the whole task in one compiled function. */
export function jax(version: string): Contender {
  return {
    name: "jax-js",
    version,
    async *prepare(task, dtype) {
      await init("webgpu");
      defaultDevice("webgpu");
      const type = dtype === "f16" ? np.float16 : np.float32;
      const upload = ({ shape, values }: Numbers) => np.astype(np.array(values, { shape }), type);
      // Pictures are channel first inside.
      const inside = (x: JaxArray, shape: readonly number[]) => (shape.length === 4 ? x.transpose([0, 3, 1, 2]) : x);
      const names = [...task.inputs.keys()];
      const known = new Map<string, number>();
      const weights: JaxArray[] = [];
      // A first walk finds the weights, which the compiled function takes as arguments.
      const shapes = [...task.inputs.values()].map(({ shape }) => shape);
      let outShape: readonly number[] = [];
      const record = (inputs: readonly JaxArray[], parameter: (name: string) => JaxArray) => {
        const values = new Map(names.map((name, i) => [name, { shape: shapes[i]!, v: inputs[i]! }]));
        const { shape, v } = task.record(jaxNet(parameter), values);
        outShape = shape;
        return v;
      };
      const given = [...task.inputs.values()].map((numbers) => inside(upload(numbers), numbers.shape));
      record(given, (name) => {
        if (!known.has(name)) known.set(name, weights.push(upload(task.weight(name))) - 1);
        return weights[known.get(name)!]!;
      }).dispose();
      const compiled = jit((...args: JaxArray[]) =>
        record(args.slice(0, names.length), (name) => args[names.length + known.get(name)!]!),
      );
      const all = [...given, ...weights];
      let result: JaxArray | undefined;
      yield {
        variant: "",
        run() {
          result?.dispose();
          result = compiled(...all.map((x) => x.ref));
        },
        async wait() {
          await result!.blockUntilReady();
        },
        async output() {
          const y = outShape.length === 4 ? result!.ref.transpose([0, 2, 3, 1]) : result!.ref;
          return np.astype(y, np.float32).data();
        },
        dispose() {
          result?.dispose();
          for (const x of all) x.dispose();
        },
      };
    },
  };
}
