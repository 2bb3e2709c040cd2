import { type DType, dtypeBytes } from "../core/dtype.js";
import { toHalf } from "../core/half.js";
import type { Device } from "../gpu/device.js";

/** Numbers that are made; buffers repeat them. No multiple of a power of two, so that rows of tensors differ. */
const length = 2 ** 16 + 36;

/** Random numbers for buffers: zeros would cost less power, and so less time, than what models compute with. */
export class RandomData {
  private readonly made = new Map<string, Uint8Array<ArrayBuffer>>();

  constructor(private readonly device: Device) {}

  /** Numbers of a type, uniform between plus and minus `scale`, in a whole buffer. */
  fill(buffer: GPUBuffer, dtype: DType, scale: number): void {
    const bytes = this.bytes(dtype, scale);
    for (let at = 0; at < buffer.size; at += bytes.byteLength) {
      const size = Math.min(bytes.byteLength, buffer.size - at);
      this.device.gpu.queue.writeBuffer(buffer, at, bytes, 0, size);
    }
  }

  private bytes(dtype: DType, scale: number): Uint8Array<ArrayBuffer> {
    const key = `${dtype} ${scale}`;
    let bytes = this.made.get(key);
    if (!bytes) {
      bytes = new Uint8Array(length * dtypeBytes[dtype]);
      const view = dtype === "f16" ? new Uint16Array(bytes.buffer) : new Float32Array(bytes.buffer);
      let state = 1;
      for (let i = 0; i < length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0; // a linear congruential generator is random enough here
        const value = (state / 2 ** 31) * scale;
        view[i] = dtype === "f16" ? toHalf(value) : value;
      }
      this.made.set(key, bytes);
    }
    return bytes;
  }
}
