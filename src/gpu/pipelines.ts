import { WebldmError } from "../core/invariant.js";
import { type ConstValues, type Kernel, textOf } from "../core/kernel.js";
import { expandImports, hasMarkedLoops, specialise } from "./wgsl.js";

/** Compiled kernels by code and constants; each is compiled once, and all that a plan needs in parallel. */
export class PipelineCache {
  // By kernel, for two networks may each have one of a name, and then by constants.
  private readonly pipelines = new Map<Kernel, Map<string, Promise<GPUComputePipeline>>>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();

  constructor(private readonly gpu: GPUDevice) {}

  /** How many distinct pipelines were asked for. */
  get size(): number {
    return [...this.pipelines.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** @throws WebldmError that carries the compiler's message. */
  get(kernel: Kernel, consts: ConstValues): Promise<GPUComputePipeline> {
    const label = `${kernel.name} ${JSON.stringify(consts)}`;
    const known = this.pipelines.get(kernel) ?? new Map<string, Promise<GPUComputePipeline>>();
    this.pipelines.set(kernel, known);
    const cached = known.get(label);
    if (cached) return cached;
    const pipeline = this.compile(kernel, consts, label);
    known.set(label, pipeline);
    pipeline.catch(() => known.delete(label));
    return pipeline;
  }

  /** Bindings in the order reads, writes, params. */
  layout(kernel: Kernel): GPUBindGroupLayout {
    const uniform = Object.keys(kernel.params).length > 0;
    const types: GPUBufferBindingType[] = [
      ...kernel.reads.map(() => "read-only-storage" as const),
      ...kernel.writes.map(() => "storage" as const),
      ...(uniform ? ["uniform" as const] : []),
    ];
    const key = types.join();
    let layout = this.layouts.get(key);
    if (!layout) {
      const entries = types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
      layout = this.gpu.createBindGroupLayout({ label: key, entries });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  private async compile(kernel: Kernel, consts: ConstValues, label: string): Promise<GPUComputePipeline> {
    const special = specialise(await expandImports(await textOf(kernel)), consts);
    const code = hasMarkedLoops(special) ? (await import("./unroll.js")).unroll(special) : special;
    // The scope keeps a bad kernel from being reported a second time, to whoever asks the device next.
    this.gpu.pushErrorScope("validation");
    const module = this.gpu.createShaderModule({ label, code });
    void this.gpu.popErrorScope();
    const layout = this.gpu.createPipelineLayout({ label, bindGroupLayouts: [this.layout(kernel)] });
    try {
      return await this.gpu.createComputePipelineAsync({ label, layout, compute: { module, entryPoint: "main" } });
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const first = messages.find((message) => message.type === "error");
      const line = first ? `line ${first.lineNum}: ${first.message}` : String(error);
      throw new WebldmError(`${label}: does not compile: ${line}`);
    }
  }
}
