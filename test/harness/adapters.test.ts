import { expect, it } from "vitest";
import { describeAdapters, openAdapter } from "./adapters.js";

describeAdapters("an adapter", ({ name, hasF16 }) => {
  it("opens and computes", async () => {
    const adapter = (await openAdapter(name))!;
    if (name !== "gpu") expect(adapter.features.has("shader-f16")).toBe(hasF16);
    const device = await adapter.requestDevice();
    const code = `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
      @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = id.x * id.x; }`;
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    const y = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
    const back = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: y } }],
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(y, 0, back, 0, 16);
    device.queue.submit([encoder.finish()]);
    await back.mapAsync(GPUMapMode.READ);
    expect([...new Uint32Array(back.getMappedRange())]).toEqual([0, 1, 4, 9]);
    device.destroy();
  });
});
