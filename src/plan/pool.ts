import { invariant } from "../core/invariant.js";
import type { Device } from "../gpu/device.js";

/**
 * Buffers for intermediates, shared by plans that never run at the same time (text, denoise, decode): slot i is as large
 * as the i-th largest slot of any of them. When a slot grows, `version` rises and plans rebuild their bind groups.
 */
export class SlotPool {
  /** Rises when a slot grows. */
  version = 0;
  private disposed = false;
  private readonly slots: { buffer: GPUBuffer; bytes: number }[] = [];

  constructor(private readonly device: Device) {}

  /** Makes slot i at least `sizes[i]` bytes. */
  reserve(sizes: readonly number[]): void {
    invariant(!this.disposed, "memory for intermediates was freed");
    const growing = [...sizes.entries()].filter(([i, bytes]) => (this.slots[i]?.bytes ?? 0) < bytes);
    for (const [i, bytes] of growing) this.device.checkSize(`slot ${i}`, bytes); // before anything changes
    // The old ones go first: beside the new ones they would take more memory than any plan needs.
    for (const [i] of growing) this.slots[i]?.buffer.destroy();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    for (const [i, bytes] of growing) {
      this.slots[i] = { buffer: this.device.buffer(`slot ${i}`, bytes, usage), bytes };
      this.version++;
    }
  }

  /** The buffer of a slot at present. */
  buffer(slot: number): GPUBuffer {
    return this.slots[slot]!.buffer;
  }

  /** The buffers of all slots, the largest first. */
  get buffers(): readonly GPUBuffer[] {
    return this.slots.map((slot) => slot.buffer);
  }

  /** Bytes held. */
  get bytes(): number {
    return this.slots.reduce((sum, slot) => sum + slot.bytes, 0);
  }

  /** Drops all buffers; plans that need them make new ones. After memory ran out no buffer can be trusted. */
  reset(): void {
    for (const slot of this.slots) slot.buffer.destroy();
    this.slots.length = 0;
    this.version++;
  }

  /** Frees everything, for good. */
  dispose(): void {
    this.reset();
    this.disposed = true;
  }
}
