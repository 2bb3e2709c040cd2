import { invariant } from "../core/invariant.js";
import { Device, type DeviceOptions } from "../gpu/device.js";
import type { Checkpoint } from "./checkpoint.js";
import type { Estimate, EstimateOptions } from "./estimate.js";
import { estimate } from "./estimateLazily.js";
import { LatentDiffusion } from "./latentDiffusion.js";
import type { CheckpointOptions, LoadOptions, ModelSource } from "./loadOptions.js";
import { openCheckpoint } from "./openCheckpoint.js";
import { settingsFor } from "./settings.js";

/** Which adapter to open, and how to store numbers there. */
export interface EngineOptions extends DeviceOptions {
  /** Type in which weights and activations are stored; f16 where the adapter has `shader-f16`, else f32. Sums are f32. */
  readonly dtype?: "f32" | "f16";
}

/** A graphics device and the models on it. */
export class Engine {
  private readonly models = new Set<LatentDiffusion>();

  private constructor(
    /** The device, for `webldm/core`. */
    readonly device: Device,
    /** Type in which weights and activations are stored. */
    readonly dtype: "f32" | "f16",
  ) {}

  /** @throws WebldmError where there is no WebGPU, or `dtype` is f16 on an adapter without it. */
  static async create(options: EngineOptions = {}): Promise<Engine> {
    const { dtype } = options;
    invariant(dtype === undefined || dtype === "f32" || dtype === "f16", `dtype: expected f32 or f16, got ${dtype}`);
    const device = await Device.open(options);
    if (dtype === "f16" && !device.features.f16) {
      device.dispose();
      invariant(false, `dtype: f16 needs an adapter with shader-f16, ${device.adapterName} has none`);
    }
    return new Engine(device, dtype ?? (device.features.f16 ? "f16" : "f32"));
  }

  /** Name of the adapter as far as the platform tells it. */
  get adapter(): string {
    return this.device.adapterName;
  }

  /**
   * Loads a model: a folder in diffusers layout (by its hub name or address, or `folderFromFiles`, `folderFromHandle`), a
   * single file of the original code or of Stable Diffusion (by its address, or a `File`), or one that `openCheckpoint` has
   * read. Headers and configurations are read and compared first; then the weights stream to the device, and into the cache
   * where it is to keep them.
   */
  async load(source: ModelSource | Checkpoint, options: LoadOptions = {}): Promise<LatentDiffusion> {
    this.device.check();
    const opened = typeof source === "object" && "stored" in source;
    const checkpoint = opened ? source : await openCheckpoint(source, options);
    const close = () => (opened ? undefined : checkpoint.close?.()); // the caller's stays open
    const forget = (disposed: LatentDiffusion) => {
      this.models.delete(disposed);
      close();
    };
    try {
      const { device, dtype } = this;
      const forms =
        options.tune || options.tuning
          ? await (await import("./tuned.js")).formsFor(device, dtype, checkpoint, options)
          : undefined;
      const upload = (rest: LoadOptions) =>
        LatentDiffusion.load(device, dtype, checkpoint, { ...options, ...rest, forms }, forget);
      const model = checkpoint.fetching
        ? await (await import("./fetchWeights.js")).fetchWeights(checkpoint, options, upload)
        : await upload(options);
      this.models.add(model);
      return model;
    } catch (error) {
      close();
      throw error;
    }
  }

  /** What a model and a picture of a size would take on this device, and whether it can do it; fetches no weights. */
  async estimate(
    source: ModelSource | Checkpoint,
    options: Omit<EstimateOptions, "dtype" | "limits" | "traits"> & CheckpointOptions = {},
  ): Promise<Estimate> {
    const { device, dtype } = this;
    const traits = await settingsFor(device, dtype);
    return estimate(source, { ...options, dtype, limits: device.gpu.limits, traits });
  }

  /** Frees everything on the device, the models included. */
  dispose(): void {
    for (const model of this.models) model.dispose();
    this.models.clear();
    this.device.dispose();
  }
}

/** Opens the graphics device: `navigator.gpu`'s unless options name another. */
export const createEngine = (options: EngineOptions = {}): Promise<Engine> => Engine.create(options);
