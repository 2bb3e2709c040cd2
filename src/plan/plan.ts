import { dtypeBytes } from "../core/dtype.js";
import { fromHalf } from "../core/half.js";
import { invariant } from "../core/invariant.js";
import { alignUp, sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { readBuffer } from "../gpu/readback.js";
import type { Call, Graph, Phase, Tensor, Window } from "../graph/graph.js";
import { type Lifetimes, lifetimes, storageBytes } from "./lifetimes.js";
import { packParams } from "./params.js";
import type { SlotPool } from "./pool.js";
import { assignSlots } from "./slots.js";

/** One entry of the replay list. */
export interface Dispatch {
  /** What was recorded. */
  readonly call: Call;
  /** Compiled for the kernel and constants of the call. */
  readonly pipeline: GPUComputePipeline;
  /** Buffers of the call; made anew when the pool grows. */
  group: GPUBindGroup;
}

/** What a graph is compiled with. */
export interface CompileOptions {
  /** Shared memory for intermediates. */
  readonly pool: SlotPool;
  /** Weight buffers by checkpoint name. */
  readonly weights?: ReadonlyMap<string, GPUBuffer>;
  /** Buffers of other plans to use for this graph's inputs and states. */
  readonly bind?: ReadonlyMap<Tensor, GPUBuffer>;
  /** Reuse of memory between intermediates; on unless false. */
  readonly alias?: boolean;
}

/** A compiled graph: memory assigned, params packed, pipelines built, bind groups made. Running a phase replays its list. */
export class Plan {
  private poolVersion = -1;

  private constructor(
    /** Where it runs. */
    readonly device: Device,
    /** What it was compiled from. */
    readonly graph: Graph,
    private readonly pool: SlotPool,
    private readonly dispatches: Readonly<Record<Phase, Dispatch[]>>,
    private readonly inPlace: ReadonlySet<Call>,
    private readonly slotOf: ReadonlyMap<number, number>,
    private readonly slotSizes: readonly number[],
    private readonly buffers: ReadonlyMap<number, GPUBuffer>,
    private readonly uniforms: { buffer: GPUBuffer | undefined; offsets: number[]; sizes: number[] },
    private readonly zero: GPUBuffer,
    private readonly owned: GPUBuffer[],
  ) {}

  /** Compiles the graph; all its pipelines build in parallel. @throws WebldmError where a weight or a limit is missing. */
  static async compile(device: Device, graph: Graph, options: CompileOptions): Promise<Plan> {
    const values = lifetimes(graph, options.alias === false ? Number.POSITIVE_INFINITY : undefined);
    const pipelines = await compilePipelines(device, graph, values);
    const owned: GPUBuffer[] = [];
    try {
      const plan = Plan.assemble(device, graph, options, values, pipelines, owned);
      if (plan.count("load") > 0) plan.run("load");
      await device.idle();
      return plan;
    } catch (error) {
      for (const buffer of owned) buffer.destroy();
      throw error;
    }
  }

  /** Everything but running; buffers go to `owned` as they are made. */
  private static assemble(
    device: Device,
    graph: Graph,
    options: CompileOptions,
    { shared, pinned, inPlace }: Lifetimes,
    pipelines: readonly GPUComputePipeline[],
    owned: GPUBuffer[],
  ): Plan {
    const { pool, weights, bind } = options;
    const bound = new Map([...(bind ?? [])].map(([tensor, buffer]) => [tensor.id, buffer]));
    const { sizes, slotOf } = assignSlots(shared, options.alias ?? true);
    const create = (label: string, bytes: number, usage: number) => {
      const buffer = device.buffer(label, bytes, usage);
      owned.push(buffer);
      return buffer;
    };
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffers = new Map<number, GPUBuffer>();
    for (const storage of graph.storages) {
      if (storage.kind === "weight") {
        const buffer = weights?.get(storage.label);
        invariant(buffer, `${storage.label}: the weight is not on the device`);
        buffers.set(storage.id, buffer);
      } else if (bound.has(storage.id)) {
        buffers.set(storage.id, bound.get(storage.id)!);
      } else if (storage.kind !== "intermediate" || pinned.has(storage.id)) {
        buffers.set(storage.id, create(storage.label || `value ${storage.id}`, storageBytes(graph, storage.id), usage));
      }
    }
    const params = packParams(graph.calls);
    const uniform = params.bytes.byteLength
      ? create("params", params.bytes.byteLength, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
      : undefined;
    if (uniform) device.gpu.queue.writeBuffer(uniform, 0, params.bytes);
    const zero = create("zero", 256, GPUBufferUsage.STORAGE);

    const dispatches: Record<Phase, Dispatch[]> = { load: [], prompt: [], step: [] };
    const uniforms = { buffer: uniform, offsets: params.offsets, sizes: params.sizes };
    const plan = new Plan(device, graph, pool, dispatches, inPlace, slotOf, sizes, buffers, uniforms, zero, owned);
    for (const [i, call] of graph.calls.entries()) {
      // The bind group is made below, once the pool has its final buffers.
      dispatches[call.phase].push({ call, pipeline: pipelines[i]!, group: undefined as unknown as GPUBindGroup });
    }
    pool.reserve(sizes);
    plan.refresh();
    return plan;
  }

  /** How many dispatches a phase takes. */
  count(phase: Phase): number {
    return this.dispatches[phase].length;
  }

  /** The replay list of a phase, for tools that time or read it dispatch by dispatch. */
  list(phase: Phase): readonly Dispatch[] {
    this.refresh();
    return this.dispatches[phase];
  }

  /** Submits a phase as one compute pass. */
  run(phase: Phase): void {
    const encoder = this.device.gpu.createCommandEncoder({ label: phase });
    this.encode(phase, encoder);
    this.device.gpu.queue.submit([encoder.finish()]);
  }

  /** Replays a phase into an encoder: the whole hot path. */
  encode(phase: Phase, encoder: GPUCommandEncoder): void {
    this.refresh();
    const pass = encoder.beginComputePass({ label: phase });
    for (const { pipeline, group, call } of this.dispatches[phase]) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(call.grid[0], call.grid[1], call.grid[2]);
    }
    pass.end();
  }

  /** Writes an input or a state. The data must have the tensor's exact size. */
  write(tensor: Tensor, data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): void {
    const bytes = sizeOf(tensor.shape) * dtypeBytes[tensor.dtype];
    const { label } = this.graph.storage(tensor);
    invariant(data.byteLength === bytes, `${label}: takes ${bytes} bytes, got ${data.byteLength}`);
    const padded = alignUp(bytes, 4) === bytes ? data : padToWord(data);
    this.device.gpu.queue.writeBuffer(this.buffer(tensor), 0, padded);
  }

  /** Reads a value back as numbers: an input, a state, an output, or a slot whose value is still there. */
  async read(tensor: Tensor): Promise<Float32Array | Uint32Array> {
    return decode(tensor, await this.readBytes(tensor));
  }

  /** The bytes of a value as they lie on the device. */
  async readBytes(tensor: Tensor): Promise<Uint8Array> {
    const bytes = sizeOf(tensor.shape) * dtypeBytes[tensor.dtype];
    return readBuffer(this.device, this.buffer(tensor), 0, bytes);
  }

  /** The buffer that holds a tensor at present. */
  buffer(tensor: Tensor): GPUBuffer {
    return this.bufferOf(this.graph.storage(tensor).id);
  }

  /** Bytes: what this plan holds alone, and the sizes of the pool's slots it needs. */
  get memory(): { readonly own: number; readonly slots: readonly number[] } {
    return { own: this.owned.reduce((sum, buffer) => sum + buffer.size, 0), slots: this.slotSizes };
  }

  /** Destroys what the plan alone holds; pool and weights stay. */
  dispose(): void {
    for (const buffer of this.owned) buffer.destroy();
    this.owned.length = 0;
  }

  private bufferOf(id: number): GPUBuffer {
    const slot = this.slotOf.get(id);
    return slot === undefined ? this.buffers.get(id)! : this.pool.buffer(slot);
  }

  /** Rebuilds the bind groups when the pool has replaced buffers since. */
  private refresh(): void {
    if (this.poolVersion === this.pool.version) return;
    this.pool.reserve(this.slotSizes);
    const { gpu, pipelines } = this.device;
    const groups = new Map<Call, GPUBindGroup>();
    for (const [i, call] of this.graph.calls.entries()) {
      const over = this.inPlace.has(call) ? call.kernel.inPlace![0] : undefined; // bound as the write alone
      const reads = call.reads.map((window, r) => (call.kernel.reads[r] === over ? undefined : window));
      const resources = [...reads, ...call.writes].map((window) => this.resource(window));
      if (this.uniforms.sizes[i]) {
        resources.push({
          buffer: this.uniforms.buffer!,
          offset: this.uniforms.offsets[i]!,
          size: this.uniforms.sizes[i]!,
        });
      }
      const entries = resources.map((resource, binding) => ({ binding, resource }));
      groups.set(call, gpu.createBindGroup({ label: call.label, layout: pipelines.layout(call.kernel), entries }));
    }
    for (const list of Object.values(this.dispatches)) {
      for (const dispatch of list) dispatch.group = groups.get(dispatch.call)!;
    }
    this.poolVersion = this.pool.version;
  }

  private resource(window: Window | undefined): GPUBufferBinding {
    if (!window) return { buffer: this.zero };
    const bytes = dtypeBytes[window.tensor.dtype];
    const size = alignUp(window.length * bytes, 16);
    return { buffer: this.bufferOf(window.tensor.id), offset: window.offset * bytes, size };
  }
}

/** The pipelines of a graph's calls, those that are not known yet compiled in parallel; they do not need its weights. */
export function compilePipelines(
  device: Device,
  graph: Graph,
  { inPlace }: Lifetimes = lifetimes(graph),
): Promise<GPUComputePipeline[]> {
  const consts = (call: Call) => (inPlace.has(call) ? { ...call.consts, IN_PLACE: 1 } : call.consts);
  return Promise.all(graph.calls.map((call) => device.pipelines.get(call.kernel, consts(call))));
}

/** Bytes of a tensor as numbers: f16 becomes f32. */
export function decode(tensor: Tensor, bytes: Uint8Array): Float32Array | Uint32Array {
  const { buffer, byteOffset } = bytes;
  const size = sizeOf(tensor.shape);
  if (tensor.dtype === "u32") return new Uint32Array(buffer, byteOffset, size);
  if (tensor.dtype === "f32") return new Float32Array(buffer, byteOffset, size);
  return Float32Array.from(new Uint16Array(buffer, byteOffset, size), fromHalf);
}

function padToWord(data: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(alignUp(data.byteLength, 4));
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return bytes;
}
