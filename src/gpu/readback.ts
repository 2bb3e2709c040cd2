import { alignUp } from "../core/shape.js";
import type { Device } from "./device.js";

/** Copies a range of a buffer to the CPU. Offset and length in bytes; the buffer needs COPY_SRC. */
export async function readBuffer(
  device: Device,
  buffer: GPUBuffer,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const size = alignUp(length, 4);
  const staging = device.buffer(`readback of ${buffer.label}`, size, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
  try {
    const encoder = device.gpu.createCommandEncoder({ label: staging.label });
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
    device.gpu.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (error) {
      device.check(); // the device's own message says more than the map's
      throw error;
    }
    device.check();
    return new Uint8Array(staging.getMappedRange().slice(0, length));
  } finally {
    staging.destroy();
  }
}
