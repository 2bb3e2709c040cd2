import { dtypeBytes } from "../core/dtype.js";
import { invariant, WebldmError } from "../core/invariant.js";
import { alignUp, ceilDiv, sameShape, showShape, sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { bindingAlignment, linearGrid, type WeightRequest } from "../graph/graph.js";
import { packSources, packWeightKernel } from "../ops/packWeight.js";
import { toFloat32 } from "../weights/decode.js";
import type { StoredTensor } from "../weights/safetensors.js";
import { streamTensors } from "../weights/stream.js";

/** Weights of one component on the device, by the checkpoint's names. */
export interface WeightBuffers {
  /** By the names of the checkpoint. */
  readonly buffers: ReadonlyMap<string, GPUBuffer>;
  /** Bytes held on the device. */
  readonly bytes: number;
  /** Destroys the buffers; plans that use them must not run any more. */
  dispose(): void;
}

/** How what there is is compared with what is asked for. */
export interface CompareOptions {
  /** Name of the component, for messages: "unet". */
  readonly component: string;
  /** Tensors of the file that the model has no use for. */
  readonly ignore?: (name: string) => boolean;
}

/** How weights are uploaded. */
export interface UploadOptions extends CompareOptions {
  /** Called with the bytes of the file that have been read since the last call. */
  readonly onBytes?: (bytes: number) => void;
  /** Stops the upload; the call rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** Buffers of training or of other uses that checkpoints carry along. */
const knownExtras = /(^|\.)(position_ids|logit_scale|num_batches_tracked)$/;

/**
 * Compares what the model asks for with what the file holds, then streams the file piece by piece: each piece is written
 * to a staging buffer and brought into layout and type by a kernel, so that neither the CPU nor the GPU ever holds a
 * second copy of the model. Resolves when all is on its way; `device.idle()` tells when it has arrived, or why not.
 * @throws WebldmError that names missing, extra and misshapen tensors, before anything is uploaded
 */
export async function uploadWeights(
  device: Device,
  requests: readonly WeightRequest[],
  stored: ReadonlyMap<string, StoredTensor>,
  options: UploadOptions,
): Promise<WeightBuffers> {
  compareWeights(requests, stored, options);
  const { signal, onBytes } = options;
  const byName = new Map(requests.map((request) => [request.name, request]));
  const buffers = new Map<string, GPUBuffer>();
  const staging = new Staging(device);
  const dispose = () => {
    for (const buffer of buffers.values()) buffer.destroy();
    buffers.clear();
  };
  try {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    for (const { name, shape, dtype } of requests) {
      buffers.set(name, device.buffer(name, alignUp(sizeOf(shape) * dtypeBytes[dtype], 16), usage));
    }
    const wanted = requests.map(({ name }) => stored.get(name)!);
    for await (const { tensor, offset, bytes } of streamTensors(wanted, {
      pieceBytes,
      ...(signal ? { signal } : {}),
    })) {
      await staging.pack(byName.get(tensor.name)!, tensor, offset, bytes, buffers.get(tensor.name)!);
      onBytes?.(bytes.byteLength);
    }
    const bytes = [...buffers.values()].reduce((sum, buffer) => sum + buffer.size, 0);
    return { buffers, bytes, dispose };
  } catch (error) {
    dispose();
    throw error;
  } finally {
    staging.dispose();
  }
}

/**
 * Has the kernels compiled that convolutions, biases and norms of these weights need, ahead of all else that a model asks for:
 * reading would wait for them. One that fails does so again where it is used.
 */
export function prepareUpload(device: Device, dtype: "f32" | "f16", stored: Iterable<StoredTensor>): void {
  for (const SOURCE of new Set([...stored].map((tensor) => packSources[tensor.dtype] ?? 0))) {
    for (const consts of [
      { W: dtype, SOURCE, LAYOUT: 1 },
      { W: "f32", SOURCE, LAYOUT: 0 },
    ]) {
      device.pipelines.get(packWeightKernel, consts).catch(() => undefined);
    }
  }
}

/** Largest piece of a file in flight; a multiple of the binding alignment for every element type. */
const pieceBytes = 8 * 2 ** 20;

/** Throws a WebldmError that names what the file lacks, has too much, or holds in another shape. */
export function compareWeights(
  requests: readonly WeightRequest[],
  stored: ReadonlyMap<string, StoredTensor>,
  options: CompareOptions,
): void {
  const { component, ignore } = options;
  const problems: string[] = [];
  const asked = new Set<string>();
  for (const { name, shape } of requests) {
    asked.add(name);
    const tensor = stored.get(name);
    if (!tensor) problems.push(`${name} is missing`);
    else if (!sameShape(withoutUnits(tensor.shape), withoutUnits(shape))) {
      problems.push(`${name} has shape ${showShape(tensor.shape)}, expected ${showShape(shape)}`);
    }
  }
  for (const name of stored.keys()) {
    if (!asked.has(name) && !knownExtras.test(name) && !ignore?.(name))
      problems.push(`${name} is not part of the model`);
  }
  if (problems.length === 0) return;
  const shown = problems.slice(0, 3).join("; ");
  const rest = problems.length > 3 ? `; and ${problems.length - 3} more` : "";
  throw new WebldmError(`${component}: the weights do not fit the configuration: ${shown}${rest}`);
}

/** A shape without trailing axes of 1: some files hold a matrix as a 1 x 1 convolution. The elements lie the same. */
function withoutUnits(shape: readonly number[]): readonly number[] {
  const last = shape.findLastIndex((axis) => axis !== 1);
  return shape.slice(0, Math.max(1, last + 1));
}

/** Pieces on their way into weight buffers. One buffer suffices: the queue writes a piece after it has read the last one. */
class Staging {
  private words: GPUBuffer | undefined;
  private readonly params: GPUBuffer;

  constructor(private readonly device: Device) {
    this.params = device.buffer("upload params", 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  }

  async pack(
    request: WeightRequest,
    tensor: StoredTensor,
    offset: number,
    bytes: Uint8Array,
    target: GPUBuffer,
  ): Promise<void> {
    if (bytes.byteLength === 0) return;
    const known = packSources[tensor.dtype];
    const raw = known === undefined ? new Uint8Array(toFloat32(bytes, tensor.dtype).buffer) : bytes;
    const sourceBytes = tensor.dtype === "F16" || tensor.dtype === "BF16" ? 2 : 4;
    const fileBytes = bytes.byteLength / (raw.byteLength / sourceBytes);
    const first = offset / fileBytes;
    const count = raw.byteLength / sourceBytes;
    const { gpu } = this.device;
    const [, inner = 1, ...taps] = request.shape;
    const moved = request.layout === "conv" && sizeOf(taps) > 1 && inner > 1;
    const direct = tensor.dtype === (request.dtype === "f16" ? "F16" : "F32");
    if (!moved && direct) {
      gpu.queue.writeBuffer(target, first * sourceBytes, padToWord(raw));
      return;
    }

    const size = dtypeBytes[request.dtype];
    const origin = moved ? 0 : Math.floor((first * size) / bindingAlignment) * (bindingAlignment / size);
    const end = moved ? sizeOf(request.shape) : first + count;
    const length = alignUp((end - origin) * size, 16);
    invariant(
      length <= this.device.maxBinding,
      `${request.name}: takes ${length} bytes on the device, a binding of this adapter holds ${this.device.maxBinding}`,
    );
    const words = this.reserve(alignUp(raw.byteLength, 4));
    const { params } = this;
    gpu.queue.writeBuffer(words, 0, padToWord(raw));
    gpu.queue.writeBuffer(params, 0, new Uint32Array([count, first, origin, inner, sizeOf(taps), 0, 0, 0]));
    const consts = { W: request.dtype, SOURCE: known ?? 0, LAYOUT: moved ? 1 : 0 };
    const pipeline = await this.device.pipelines.get(packWeightKernel, consts);
    const group = gpu.createBindGroup({
      label: request.name,
      layout: this.device.pipelines.layout(packWeightKernel),
      entries: [
        { binding: 0, resource: { buffer: words, size: alignUp(raw.byteLength, 4) } },
        { binding: 1, resource: { buffer: target, offset: origin * size, size: length } },
        { binding: 2, resource: { buffer: params } },
      ],
    });
    const encoder = gpu.createCommandEncoder({ label: `pack ${request.name}` });
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...linearGrid(ceilDiv(count, 256)));
    pass.end();
    gpu.queue.submit([encoder.finish()]);
  }

  dispose(): void {
    this.words?.destroy();
    this.params.destroy();
  }

  private reserve(size: number): GPUBuffer {
    if (!this.words || this.words.size < size) {
      this.words?.destroy();
      this.words = this.device.buffer("upload staging", size, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
    }
    return this.words;
  }
}

/** `writeBuffer` takes whole words; a tail is padded with zeros, which the aligned buffer has room for. */
function padToWord(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.byteLength % 4 === 0) return bytes as Uint8Array<ArrayBuffer>;
  const padded = new Uint8Array(alignUp(bytes.byteLength, 4));
  padded.set(bytes);
  return padded;
}
