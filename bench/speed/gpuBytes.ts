/** Bytes of living buffers, whoever makes them. */
export interface GpuBytes {
  now(): number;
  /** The most that were alive at once since the last call. */
  most(): number;
}

/** Counts from now on what is created and destroyed; to be called before a device is opened. */
export function countGpuBytes(): GpuBytes {
  let [now, most] = [0, 0];
  const alive = new WeakSet<GPUBuffer>();
  const { createBuffer } = GPUDevice.prototype;
  const { destroy } = GPUBuffer.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    alive.add(buffer);
    now += buffer.size;
    most = Math.max(most, now);
    return buffer;
  };
  GPUBuffer.prototype.destroy = function () {
    if (alive.delete(this)) now -= this.size;
    return destroy.call(this);
  };
  return {
    now: () => now,
    most: () => {
      const result = most;
      most = now;
      return result;
    },
  };
}
