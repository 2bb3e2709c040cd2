// Random numbers that the GPU and the CPU make alike from an index: the GPU fills whole models in milliseconds, and the CPU
// computes a reference without reading anything back. All are exact in float16.
import { type DType, dtypeBytes } from "../../src/core/dtype.js";
import type { Device } from "../../src/gpu/device.js";
import { linearGrid } from "../../src/graph/graph.js";

/** Uniform about `offset`, up to `scale` away from it, never equal to it. `scale` is a power of two. */
export interface Spread {
  readonly seed: number;
  readonly scale: number;
  readonly offset?: number;
}

/** Activations: a standard deviation of 1.15. */
export const unit = (seed: number): Spread => ({ seed, scale: 2 });

/** Weights of a layer that sums over `inner` products: the sum is no larger than its inputs. */
export const scaled = (seed: number, inner: number): Spread => ({
  seed,
  scale: 2 ** Math.floor(Math.log2(Math.sqrt(3 / inner))),
});

/** Element `index` of a filled buffer. */
export function valueAt(index: number, { seed, scale, offset = 0 }: Spread): number {
  let h = Math.imul(index, 0x9e3779b1) ^ seed;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h ^= h >>> 16;
  return ((2 * (h >>> 21) + 1 - 2048) / 2048) * scale + offset;
}

/** The first elements of a filled buffer. */
export function valuesOf(length: number, spread: Spread): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = valueAt(i, spread);
  return values;
}

const code = `
struct Params { words: u32, first: u32, seed: u32, half: u32, scale: f32, offset: f32, paddingA: f32, paddingB: f32 }
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;
fn value(index: u32) -> f32 {
  var h = (index * 0x9e3779b1u) ^ params.seed;
  h = (h ^ (h >> 16u)) * 0x85ebca6bu;
  h = (h ^ (h >> 13u)) * 0xc2b2ae35u;
  h ^= h >> 16u;
  return (f32(2u * (h >> 21u) + 1u) - 2048.0) / 2048.0 * params.scale + params.offset;
}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.words) { return; }
  let at = params.first + i;
  if (params.half == 1u) { y[i] = pack2x16float(vec2f(value(2u * at), value(2u * at + 1u))); }
  else { y[i] = bitcast<u32>(value(at)); }
}`;

const windowBytes = 2 ** 26; // what every adapter can bind

/** Fills buffers of a device with random numbers. */
export class Filler {
  private readonly pipeline: GPUComputePipeline;

  constructor(private readonly device: Device) {
    const module = device.gpu.createShaderModule({ label: "random numbers", code });
    this.pipeline = device.gpu.createComputePipeline({ label: "random numbers", layout: "auto", compute: { module } });
  }

  /** Numbers of an element type in a whole buffer; u32 becomes zeros. */
  fill(buffer: GPUBuffer, dtype: DType, { seed, scale, offset = 0 }: Spread): void {
    const { gpu } = this.device;
    const encoder = gpu.createCommandEncoder({ label: "random numbers" });
    const params: GPUBuffer[] = [];
    for (let begin = 0; begin < buffer.size; begin += windowBytes) {
      const size = Math.min(windowBytes, buffer.size - begin);
      if (dtype === "u32") {
        encoder.clearBuffer(buffer, begin, size);
        continue;
      }
      const words = size / 4;
      const given = new DataView(new ArrayBuffer(32));
      [words, begin / 4, seed, dtypeBytes[dtype] === 2 ? 1 : 0].forEach((v, i) => {
        given.setUint32(4 * i, v, true);
      });
      given.setFloat32(16, scale, true);
      given.setFloat32(20, offset, true);
      const uniform = this.device.buffer("random params", 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
      gpu.queue.writeBuffer(uniform, 0, given.buffer);
      params.push(uniform);
      const pass = encoder.beginComputePass();
      pass.setPipeline(this.pipeline);
      pass.setBindGroup(
        0,
        gpu.createBindGroup({
          layout: this.pipeline.getBindGroupLayout(0),
          entries: [
            { binding: 0, resource: { buffer, offset: begin, size } },
            { binding: 1, resource: { buffer: uniform } },
          ],
        }),
      );
      pass.dispatchWorkgroups(...linearGrid(Math.ceil(words / 256)));
      pass.end();
    }
    gpu.queue.submit([encoder.finish()]);
    for (const buffer of params) buffer.destroy();
  }
}
