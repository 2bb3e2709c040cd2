import { invariant } from "../core/invariant.js";
import { readBuffer } from "../gpu/readback.js";
import type { Call, Phase } from "../graph/graph.js";
import type { Plan } from "./plan.js";

/** Time of one dispatch on the device. */
export interface Timing {
  /** What was timed. */
  readonly call: Call;
  /** From the pass's beginning to its end. */
  readonly microseconds: number;
}

/** Queries a set may hold at most, by the WebGPU specification; two per dispatch. */
const querySetSize = 4096;

/** Runs a phase once with a timestamped pass per dispatch. @throws WebldmError without the timestamp-query feature. */
export async function profile(plan: Plan, phase: Phase): Promise<Timing[]> {
  const { device } = plan;
  invariant(device.features.timestamps, `profile: the adapter ${device.adapterName} has no timestamp queries`);
  const timings: Timing[] = [];
  const list = plan.list(phase);
  for (let first = 0; first < list.length; first += querySetSize / 2) {
    const part = list.slice(first, first + querySetSize / 2);
    const count = part.length * 2;
    const querySet = device.gpu.createQuerySet({ label: "profile", type: "timestamp", count });
    const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
    const resolved = device.buffer("profile timestamps", count * 8, usage);
    const encoder = device.gpu.createCommandEncoder({ label: "profile" });
    for (const [i, { call, pipeline, group }] of part.entries()) {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: i * 2, endOfPassWriteIndex: i * 2 + 1 };
      const pass = encoder.beginComputePass({ label: call.label, timestampWrites });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(call.grid[0], call.grid[1], call.grid[2]);
      pass.end();
    }
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    device.gpu.queue.submit([encoder.finish()]);
    const bytes = await readBuffer(device, resolved, 0, count * 8);
    const times = new BigUint64Array(bytes.buffer, bytes.byteOffset, count);
    for (const [i, { call }] of part.entries()) {
      timings.push({ call, microseconds: Number(times[i * 2 + 1]! - times[i * 2]!) / 1000 });
    }
    querySet.destroy();
    resolved.destroy();
  }
  return timings;
}
