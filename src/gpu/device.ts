import { invariant, WebldmError } from "../core/invariant.js";
import type { MatrixUnits } from "../core/matrixUnits.js";
import { PipelineCache } from "./pipelines.js";

export type {} from "./webgpu.js";

/** Which adapter to open. */
export interface DeviceOptions {
  /** Where adapters come from; `navigator.gpu` when absent. */
  readonly gpu?: GPU;
  /** An adapter chosen by the caller. */
  readonly adapter?: GPUAdapter;
  /** Which adapter of several; "high-performance" when absent. */
  readonly powerPreference?: "low-power" | "high-performance";
}

/** What of the adapter decides kernel variants. */
export interface Features {
  /** `shader-f16`: weights and activations can be stored in half precision. */
  readonly f16: boolean;
  /** `timestamp-query`: dispatches can be timed. */
  readonly timestamps: boolean;
  /** The adapter runs on the CPU. */
  readonly software: boolean;
  /** `subgroups`: invocations of a subgroup, where all subgroups have the same number. */
  readonly subgroup: number | undefined;
  /** `chromium-experimental-subgroup-matrix`, where it multiplies f16 with f32 sums. */
  readonly matrix: MatrixUnits | undefined;
}

/** What the engine uses where an adapter has it. */
const featureNames = {
  f16: "shader-f16",
  timestamps: "timestamp-query",
  subgroups: "subgroups",
  matrix: "chromium-experimental-subgroup-matrix",
} as const;

/** Limits are asked for as high as the adapter goes; the engine works within WebGPU's defaults too. */
const raised = ["maxStorageBufferBindingSize", "maxBufferSize", "maxComputeWorkgroupStorageSize"] as const;

/** A WebGPU device with what the engine needs to know of it. */
export class Device {
  /** Compiled pipelines, by kernel and constants. */
  readonly pipelines: PipelineCache;
  /** What of the adapter decides kernel variants. */
  readonly features: Features;
  private failure: Error | undefined;
  /** Why the device is of no more use. */
  private ended: Error | undefined;

  private constructor(
    /** The device of WebGPU itself. */
    readonly gpu: GPUDevice,
    /** The adapter's name as far as the browser tells it. */
    readonly adapterName: string,
    info: GPUAdapterInfo,
  ) {
    const { subgroupMinSize, subgroupMaxSize } = info;
    const subgroup = gpu.features.has("subgroups") && subgroupMinSize === subgroupMaxSize ? subgroupMaxSize : undefined;
    this.features = {
      f16: gpu.features.has("shader-f16"),
      timestamps: gpu.features.has("timestamp-query"),
      software: info.isFallbackAdapter,
      subgroup,
      matrix: subgroup === undefined ? undefined : matrixUnits(gpu, info, subgroup),
    };
    this.pipelines = new PipelineCache(gpu);
    gpu.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.failure ??= new WebldmError(`GPU: ${(event as GPUUncapturedErrorEvent).error.message.split("\n")[0]}`);
    });
    void gpu.lost.then((info) => {
      this.ended ??= new WebldmError(`GPU: the device was lost (${info.message || info.reason})`);
    });
  }

  /** @throws WebldmError where there is no WebGPU or no adapter. */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    const adapter = options.adapter ?? (await requestAdapter(options));
    const requiredFeatures = (Object.values(featureNames) as GPUFeatureName[]).filter((name) =>
      adapter.features.has(name),
    );
    const requiredLimits = Object.fromEntries(raised.map((name) => [name, adapter.limits[name]]));
    let gpu: GPUDevice;
    try {
      gpu = await adapter.requestDevice({ label: "webldm", requiredFeatures, requiredLimits });
    } catch (error) {
      throw new WebldmError(`WebGPU: the adapter gives no device: ${(error as Error).message}`);
    }
    const { description, device, architecture, vendor } = adapter.info;
    return new Device(
      gpu,
      description || [vendor, architecture || device].filter(Boolean).join(" ") || "unnamed adapter",
      adapter.info,
    );
  }

  /** Largest range that one binding may span, in bytes. */
  get maxBinding(): number {
    return Math.floor(this.gpu.limits.maxStorageBufferBindingSize / 16) * 16; // bindings end at whole vec4
  }

  /** Throws the error that the device reported since the last check, once; a lost device throws each time. */
  check(): void {
    if (this.ended) throw this.ended;
    const { failure } = this;
    if (!failure) return;
    this.failure = undefined;
    throw failure;
  }

  /**
   * A new buffer of `size` bytes.
   * @throws WebldmError that names the label where the adapter allows none so large.
   */
  buffer(label: string, size: number, usage: number): GPUBuffer {
    this.checkSize(label, size);
    return this.gpu.createBuffer({ label, size, usage });
  }

  /** Throws where the adapter allows no buffer of a size. */
  checkSize(label: string, size: number): void {
    const { maxBufferSize } = this.gpu.limits;
    invariant(size <= maxBufferSize, `${label}: needs a buffer of ${size} bytes, this adapter allows ${maxBufferSize}`);
  }

  /** Resolves when all submitted work is done. */
  async idle(): Promise<void> {
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
  }

  /** Destroys the device with everything on it; what is asked of it later throws. */
  dispose(): void {
    this.ended ??= new WebldmError("the engine was disposed");
    this.gpu.destroy();
  }
}

/** One shape of an adapter's matrix units, as the extension tells it. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Of the shapes that multiply f16 with f32 sums the largest; undefined where there is none. */
function matrixUnits(gpu: GPUDevice, info: GPUAdapterInfo, subgroup: number): MatrixUnits | undefined {
  if (!(gpu.features as ReadonlySet<string>).has(featureNames.matrix) || !gpu.features.has("shader-f16"))
    return undefined;
  const configs = (info as { readonly subgroupMatrixConfigs?: readonly MatrixConfig[] }).subgroupMatrixConfigs ?? [];
  const [best] = [...configs]
    .filter((c) => c.componentType === "f16" && c.resultComponentType === "f32")
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  if (!best) return undefined;
  const { maxComputeWorkgroupStorageSize: workgroupBytes, maxComputeInvocationsPerWorkgroup: invocations } = gpu.limits;
  return { m: best.M, n: best.N, k: best.K, subgroup, workgroupBytes, invocations };
}

async function requestAdapter(options: DeviceOptions): Promise<GPUAdapter> {
  const gpu = options.gpu ?? globalThis.navigator?.gpu;
  if (!gpu) {
    throw new WebldmError(
      "WebGPU: expected navigator.gpu, this environment has none (use a current Chrome, Edge, Firefox or Safari, over https:// or on localhost)",
    );
  }
  const request: GPURequestAdapterOptions = { powerPreference: options.powerPreference ?? "high-performance" };
  // The first request of a page can answer null while the browser's GPU process starts.
  const adapter = (await gpu.requestAdapter(request)) ?? (await gpu.requestAdapter(request));
  if (!adapter)
    throw new WebldmError(
      "WebGPU: expected a graphics adapter, the browser offers none (is hardware acceleration on?)",
    );
  return adapter;
}
