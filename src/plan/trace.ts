import { dtypeBytes } from "../core/dtype.js";
import { readBuffer } from "../gpu/readback.js";
import type { Call, Phase, Tensor } from "../graph/graph.js";
import { decode, type Plan } from "./plan.js";

/**
 * Runs a phase dispatch by dispatch and hands over what each one wrote: the numbers of the written window, NHWC.
 * For finding the first value that differs from a reference; far too slow for anything else.
 */
export async function trace(
  plan: Plan,
  phase: Phase,
  visit: (call: Call, tensor: Tensor, values: Float32Array | Uint32Array) => void | Promise<void>,
): Promise<void> {
  const { device } = plan;
  for (const { call, pipeline, group } of plan.list(phase)) {
    const encoder = device.gpu.createCommandEncoder({ label: call.label });
    const pass = encoder.beginComputePass({ label: call.label });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(call.grid[0], call.grid[1], call.grid[2]);
    pass.end();
    device.gpu.queue.submit([encoder.finish()]);
    for (const { tensor, offset, length } of call.writes) {
      const size = dtypeBytes[tensor.dtype];
      const bytes = await readBuffer(device, plan.buffer(tensor), offset * size, length * size);
      await visit(call, tensor, decode({ ...tensor, shape: [length] }, bytes));
    }
  }
}
