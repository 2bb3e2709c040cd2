import type { Device } from "../gpu/device.js";
import { readBuffer } from "../gpu/readback.js";
import type { Phase } from "../graph/graph.js";
import type { Plan } from "./plan.js";

/** Puts work into a pass. */
export type Encode = (pass: GPUComputePassEncoder) => void;

/** Encodes the replay list of a phase, as the plan itself does. */
export const replay =
  (plan: Plan, phase: Phase): Encode =>
  (pass) => {
    for (const { pipeline, group, call } of plan.list(phase)) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(call.grid[0], call.grid[1], call.grid[2]);
    }
  };

/** Times compute passes. */
export interface Clock {
  /** By timestamps of the device, or by the clock of the host where it has none. */
  readonly by: "device" | "host";
  /** Milliseconds of a pass that holds the work so many times. */
  once(encode: Encode, repeats: number): Promise<number>;
  dispose(): void;
}

export const openClock = (device: Device): Clock => (device.features.timestamps ? onDevice(device) : onHost(device));

function onHost(device: Device): Clock {
  return {
    by: "host",
    async once(encode, repeats) {
      const started = performance.now();
      const encoder = device.gpu.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < repeats; i++) encode(pass);
      pass.end();
      device.gpu.queue.submit([encoder.finish()]);
      await device.idle();
      return performance.now() - started;
    },
    dispose: () => undefined,
  };
}

/** Two timestamps around the pass, and the buffer that they are read from. */
function onDevice(device: Device): Clock {
  const querySet = device.gpu.createQuerySet({ label: "clock", type: "timestamp", count: 2 });
  const resolved = device.buffer("timestamps", 16, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
  return {
    by: "device",
    async once(encode, repeats) {
      const encoder = device.gpu.createCommandEncoder({ label: "timed" });
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
      const pass = encoder.beginComputePass({ label: "timed", timestampWrites });
      for (let i = 0; i < repeats; i++) encode(pass);
      pass.end();
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      device.gpu.queue.submit([encoder.finish()]);
      const bytes = await readBuffer(device, resolved, 0, 16);
      const [begin, end] = new BigUint64Array(bytes.buffer, bytes.byteOffset, 2) as unknown as [bigint, bigint];
      return Number(end - begin) / 1e6;
    },
    dispose() {
      querySet.destroy();
      resolved.destroy();
    },
  };
}
