import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Contender } from "./contender.js";
import { tfjsNet, tfjsWeights } from "./tfjsNet.js";

/** TensorFlow.js, its WebGPU backend: float32 alone. */
export function tfjs(version: string): Contender {
  return {
    name: "tfjs",
    version,
    async *prepare(task, dtype) {
      if (dtype === "f16") throw new Error("has no float16");
      await tf.setBackend("webgpu");
      await tf.ready();
      const backend = tf.backend() as WebGPUBackend;
      const weights = tfjsWeights(task.weight);
      const net = tfjsNet(weights);
      const inputs = new Map(
        [...task.inputs].map(([name, { shape, values }]) => [name, { shape, v: tf.tensor(values, shape) }]),
      );
      // Weights outlive the tidying of a run.
      const first = task.record(net, inputs).v;
      await first.data();
      first.dispose();
      let result: tf.Tensor | undefined;
      yield {
        variant: "",
        run() {
          result?.dispose();
          result = tf.tidy(() => task.record(net, inputs).v);
          backend.endComputePassEncoder();
          backend.submitQueue();
        },
        wait: () => backend.device.queue.onSubmittedWorkDone(),
        output: () => result!.data(),
        dispose() {
          result?.dispose();
          weights.dispose();
          for (const { v } of inputs.values()) v.dispose();
        },
      };
    },
  };
}
