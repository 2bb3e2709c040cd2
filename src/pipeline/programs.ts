import { invariant } from "../core/invariant.js";
import type { Device } from "../gpu/device.js";
import type { GraphOptions } from "../graph/graph.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import { SlotPool } from "../plan/pool.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { Checkpoint } from "./checkpoint.js";
import { type Component, settingsOf, uploadComponent } from "./components.js";
import { ContextEncoder } from "./contextEncoder.js";
import { decoderFits } from "./decoderFits.js";
import { Denoiser, type DenoiseShape } from "./denoiser.js";
import { LatentDecoder } from "./latentDecoder.js";
import type { ModelConfig } from "./modelConfig.js";
import type { Decoder, Encoder, PixelStage } from "./pixelStage.js";
import type { RequestLimits } from "./request.js";
import type { Rescaler } from "./rescaler.js";
import type { HalfSize, StageSize } from "./tileGrid.js";
import type { WeightBuffers } from "./upload.js";

/** Compiled programs that are kept for requests of other shapes. */
const kept = 12;

interface Program {
  dispose(): void;
}

/** A model's weights on the device, and the programs compiled for them, the least recently used of which give way. */
export class Programs {
  private readonly pool: SlotPool;
  private readonly compiled = new Map<string, Program>();
  /** Under way: previews that nobody waits for ask for the same program again. */
  private readonly compiling = new Map<string, Promise<Program>>();

  constructor(
    readonly device: Device,
    readonly settings: GraphOptions,
    private readonly checkpoint: Checkpoint,
    private readonly weights: Map<Component, WeightBuffers>,
  ) {
    this.pool = new SlotPool(device);
  }

  get config(): ModelConfig {
    return this.checkpoint.config;
  }

  /** What decides which requests can be fulfilled. */
  get limits(): RequestLimits {
    return this.checkpoint;
  }

  get tokenizer(): Tokenizer | undefined {
    return this.checkpoint.tokenizer;
  }

  /** Of models of layouts: objects and their places as ids. */
  get layout(): Checkpoint["layout"] {
    return this.checkpoint.layout;
  }

  /** What pictures of this model should be accompanied by. */
  get notes(): readonly string[] {
    return this.checkpoint.notes;
  }

  /** Encodes so many conditions to a context. */
  contextEncoder(count: number): Promise<ContextEncoder> {
    return this.program(`context ${count}`, async () =>
      ContextEncoder.compile(this.device, this.config, await this.load("conditioner"), this.pool, this.settings, count),
    );
  }

  denoiser(shape: DenoiseShape): Promise<Denoiser> {
    return this.program(`denoise ${JSON.stringify(shape)}`, async () =>
      Denoiser.compile(this.device, this.config, await this.load("unet"), this.pool, this.settings, shape),
    );
  }

  /** Decodes latents of a size, in bands or tiles where one piece does not fit into `budget` bytes or into the device's buffers. */
  async decoder(size: StageSize, budget?: number): Promise<Decoder> {
    const { firstStage } = this.config;
    if (!firstStage) return this.pixels(size);
    return this.program(`decode ${JSON.stringify([size, budget])}`, async () =>
      LatentDecoder.compile(
        this.device,
        firstStage,
        await this.load("decoder"),
        this.pool,
        this.settingsOf("decoder"),
        await this.placed("decoder", firstStage, this.settingsOf("decoder"), size, budget),
      ),
    );
  }

  /** Decodes previews: with the small autoencoder where the model has one, else with its own. */
  async previewer(size: StageSize, budget?: number): Promise<Decoder> {
    const { preview } = this.checkpoint;
    if (!preview) return this.decoder(size, budget);
    return this.program(`preview ${JSON.stringify([size, budget])}`, async () =>
      LatentDecoder.compile(
        this.device,
        preview.config,
        await this.load("preview"),
        this.pool,
        this.settings,
        await this.placed("decoder", preview.config, this.settings, size, budget),
      ),
    );
  }

  /** Encodes pictures of a size; the encoder's weights are loaded when they are first needed. */
  async encoder(size: StageSize, budget?: number): Promise<Encoder> {
    const { firstStage } = this.config;
    if (!firstStage) return this.pixels(size);
    return this.program(`encode ${JSON.stringify([size, budget])}`, async () =>
      (await import("./imageEncoder.js")).ImageEncoder.compile(
        this.device,
        firstStage,
        await this.load("encoder"),
        this.pool,
        this.settingsOf("encoder"),
        await this.placed("encoder", firstStage, this.settingsOf("encoder"), size, budget),
      ),
    );
  }

  /** Brings segmentation maps of a size to the latent's. */
  rescaler(size: StageSize): Promise<Rescaler> {
    const { concat } = this.config;
    invariant(concat.kind === "segmentation", "the model takes no segmentation maps");
    return this.program(`rescale ${JSON.stringify(size)}`, async () =>
      (await import("./rescaler.js")).Rescaler.compile(
        this.device,
        concat.config,
        await this.load("rescaler"),
        this.pool,
        this.settings,
        size,
      ),
    );
  }

  /** Bytes on the device: weights, and intermediates shared by all programs. */
  get memory(): { readonly weights: number; readonly intermediates: number } {
    const weights = [...this.weights.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return { weights, intermediates: this.pool.bytes };
  }

  /** Drops all programs and their memory; they compile anew when they are asked for. */
  drop(): void {
    for (const program of this.compiled.values()) program.dispose();
    this.compiled.clear();
    this.pool.reset();
  }

  dispose(): void {
    this.drop();
    this.pool.dispose();
    for (const weights of this.weights.values()) weights.dispose();
    this.weights.clear();
  }

  private pixels(size: StageSize): Promise<PixelStage> {
    return this.program(`pixels ${JSON.stringify(size)}`, async () =>
      (await import("./pixelStage.js")).PixelStage.compile(this.device, this.pool, this.settings, size),
    );
  }

  private async placed(
    half: "decoder" | "encoder",
    config: FirstStageConfig,
    settings: GraphOptions,
    size: StageSize,
    budget: number | undefined,
  ): Promise<HalfSize> {
    const { device } = this;
    const quick = half === "decoder" && budget === undefined && config.kind !== "tiny";
    if (quick && decoderFits(config, size, settings, device.gpu.limits.maxBufferSize)) return size;
    const options = { settings, device, ...(budget === undefined ? {} : { budget }) };
    return { ...size, ...(await import("./division.js")).divisionFor(half, config, size, options) };
  }

  private settingsOf(component: Component): GraphOptions {
    return settingsOf(component, this.config, this.settings);
  }

  private async load(component: Component): Promise<WeightBuffers> {
    let weights = this.weights.get(component);
    if (!weights) {
      weights = await uploadComponent(this.device, this.checkpoint, component, this.settingsOf(component));
      this.weights.set(component, weights);
    }
    return weights;
  }

  private async program<T extends Program>(key: string, compile: () => Promise<T>): Promise<T> {
    const known = this.compiled.get(key);
    if (known) {
      this.compiled.delete(key); // moves to the end: the least recently used is first
      this.compiled.set(key, known);
      return known as T;
    }
    const pending = this.compiling.get(key) ?? this.compileNew(key, compile);
    return (await pending) as T;
  }

  private compileNew(key: string, compile: () => Promise<Program>): Promise<Program> {
    for (const [old, program] of this.compiled) {
      if (this.compiled.size < kept) break;
      program.dispose();
      this.compiled.delete(old);
    }
    const pending = compile()
      .then((program) => {
        this.compiled.set(key, program);
        return program;
      })
      .finally(() => this.compiling.delete(key));
    this.compiling.set(key, pending);
    return pending;
  }
}
