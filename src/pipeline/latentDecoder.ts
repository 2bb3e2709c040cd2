import { invariant } from "../core/invariant.js";
import { type Shape, showShape } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { readBuffer } from "../gpu/readback.js";
import type { GraphOptions, Tensor } from "../graph/graph.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import type { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { decoderGraph, decoderTileGraph, rgbaGraph } from "./firstStageGraphs.js";
import { bytesOf, floats, StageParts } from "./stageParts.js";
import { gridOf, type HalfSize, type TileGrid } from "./tileGrid.js";
import type { WeightBuffers } from "./upload.js";

/** A value on the device. */
interface Held {
  readonly buffer: GPUBuffer;
  readonly shape: Shape;
}

/** Programs that turn latents of one size into pictures. */
export class LatentDecoder {
  private constructor(
    private readonly parts: StageParts,
    private readonly latent: Held,
    private readonly rgba: Held,
    /** In [-1, 1], not clamped; absent where only RGBA is kept. */
    private readonly picture: Held | undefined,
    private readonly run: () => void,
  ) {}

  /**
   * @param weights of the decoder's half, as `decoderRequests` lists them
   * @param size of the latent
   */
  static compile(
    device: Device,
    config: FirstStageConfig,
    weights: WeightBuffers,
    pool: SlotPool,
    settings: GraphOptions,
    size: HalfSize,
  ): Promise<LatentDecoder> {
    return StageParts.build(device, pool, weights, async (parts) => {
      const grid = gridOf(size, size.tile);
      if (grid) return LatentDecoder.tiled(parts, config, settings, size.images, grid);
      const { graph, latent, picture, rgba } = decoderGraph(config, size, settings);
      const plan = await parts.compile(graph);
      const held = (tensor: Tensor): Held => ({ buffer: plan.buffer(tensor), shape: tensor.shape });
      return new LatentDecoder(parts, held(latent), held(rgba), held(picture), () => plan.run("step"));
    });
  }

  private static async tiled(
    parts: StageParts,
    config: FirstStageConfig,
    settings: GraphOptions,
    images: number,
    grid: TileGrid,
  ): Promise<LatentDecoder> {
    const programs = await parts.tiles(grid, (size) => decoderTileGraph(config, images, grid, size, settings));
    const { latent, picture } = programs.first;
    const held = (tensor: Tensor): Held => ({ buffer: programs.plan.buffer(tensor), shape: tensor.shape });
    const runTiles = () => {
      for (const { plan, program, place } of programs.tiles(images)) {
        plan.write(program.place, place);
        plan.run("step");
      }
    };
    if (picture.dtype === "u32") return new LatentDecoder(parts, held(latent), held(picture), undefined, runTiles);
    const last = rgbaGraph(picture.shape, settings);
    const plan = await parts.compile(last.graph, new Map([[last.picture, held(picture).buffer]]));
    const rgba = { buffer: plan.buffer(last.rgba), shape: last.rgba.shape };
    return new LatentDecoder(parts, held(latent), rgba, held(picture), () => {
      runTiles();
      plan.run("step");
    });
  }

  /**
   * Decodes a latent [N, h, w, C] (f32) as the denoiser has it, scaled, from a buffer. Gives RGBA: N pictures one after
   * the other.
   */
  async decode(latent: GPUBuffer): Promise<Uint8Array> {
    const { device } = this.parts;
    const encoder = device.gpu.createCommandEncoder({ label: "latent to decode" });
    encoder.copyBufferToBuffer(latent, 0, this.latent.buffer, 0, bytesOf(this.latent.shape));
    device.gpu.queue.submit([encoder.finish()]);
    this.run();
    return readBuffer(device, this.rgba.buffer, 0, bytesOf(this.rgba.shape));
  }

  /** Values of the last decoded picture [N, H, W, 3], roughly in [-1, 1] and not clamped, to compare with a reference. */
  async readImage(): Promise<Float32Array> {
    const { picture } = this;
    invariant(
      picture,
      `readImage: of pictures ${showShape(this.rgba.shape)} only RGBA is kept, values exceed a binding`,
    );
    return floats(await readBuffer(this.parts.device, picture.buffer, 0, bytesOf(picture.shape)));
  }

  /** The programs, for profiling: one, or one for each size of tile. */
  get plans(): readonly Plan[] {
    return this.parts.plans;
  }

  dispose(): void {
    this.parts.dispose();
  }
}
