import { sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { readBuffer } from "../gpu/readback.js";
import { Graph, type GraphOptions, type Tensor } from "../graph/graph.js";
import { toRgba } from "../ops/toRgba.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import type { StageSize } from "./tileGrid.js";

/** What turns latents into pictures. */
export interface Decoder {
  /** Decodes a latent [N, h, w, C] (f32) to RGBA: N pictures one after the other. */
  decode(latent: GPUBuffer): Promise<Uint8Array>;
  dispose(): void;
}

/** What turns pictures into latents. */
export interface Encoder {
  /** Encodes a picture [N, H, W, 3] in [-1, 1]; the result is left in `latent`. */
  encode(
    image: Float32Array<ArrayBuffer>,
    options?: { readonly noise?: Float32Array<ArrayBuffer>; readonly scaled?: boolean },
  ): void;
  /** [N, h, w, C] in f32. */
  readonly latent: GPUBuffer;
  readLatent(): Promise<Float32Array>;
  dispose(): void;
}

/** In place of a first stage where the denoiser works on pixels (LDM-1 of the paper): pictures are their own latents. */
export class PixelStage implements Decoder, Encoder {
  private constructor(
    private readonly device: Device,
    private readonly plan: Plan,
    private readonly image: Tensor,
    private readonly rgba: Tensor,
  ) {}

  static async compile(device: Device, pool: SlotPool, settings: GraphOptions, size: StageSize): Promise<PixelStage> {
    const graph = new Graph(settings);
    const image = graph.input("picture", [size.images, size.height, size.width, 3], "f32", "step");
    const rgba = graph.output(toRgba(image));
    return new PixelStage(device, await Plan.compile(device, graph, { pool }), image, rgba);
  }

  async decode(latent: GPUBuffer): Promise<Uint8Array> {
    const encoder = this.device.gpu.createCommandEncoder({ label: "picture" });
    encoder.copyBufferToBuffer(latent, 0, this.latent, 0, sizeOf(this.image.shape) * 4);
    this.plan.encode("step", encoder);
    this.device.gpu.queue.submit([encoder.finish()]);
    return this.plan.readBytes(this.rgba);
  }

  encode(image: Float32Array<ArrayBuffer>): void {
    this.plan.write(this.image, image);
  }

  get latent(): GPUBuffer {
    return this.plan.buffer(this.image);
  }

  async readLatent(): Promise<Float32Array> {
    const bytes = await readBuffer(this.device, this.latent, 0, sizeOf(this.image.shape) * 4);
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  dispose(): void {
    this.plan.dispose();
  }
}
