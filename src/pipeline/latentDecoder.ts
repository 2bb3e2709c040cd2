import { invariant } from "../core/invariant.js";
import { showShape } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { readBuffer } from "../gpu/readback.js";
import type { GraphOptions } from "../graph/graph.js";
import { decodeLatent } from "../models/autoencoder.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import type { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { decoderGraph } from "./decoderGraph.js";
import { type DecoderPrograms, held } from "./decoderPrograms.js";
import { bytesOf, floats, StageParts } from "./stageParts.js";
import type { HalfSize, StageSize } from "./tileGrid.js";
import type { WeightBuffers } from "./upload.js";

/** Programs that turn latents of one size into pictures. */
export class LatentDecoder {
  private constructor(
    private readonly parts: StageParts,
    private readonly programs: DecoderPrograms,
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
      const divided = await inPieces(parts, config, settings, size);
      return new LatentDecoder(parts, divided ?? (await inOnePiece(parts, config, settings, size)));
    });
  }

  /**
   * Decodes a latent [N, h, w, C] (f32) as the denoiser has it, scaled, from a buffer. Gives RGBA: N pictures one after
   * the other.
   */
  async decode(latent: GPUBuffer): Promise<Uint8Array> {
    const { device } = this.parts;
    const { latent: target, rgba, run } = this.programs;
    const encoder = device.gpu.createCommandEncoder({ label: "latent to decode" });
    encoder.copyBufferToBuffer(latent, 0, target.buffer, 0, bytesOf(target.shape));
    device.gpu.queue.submit([encoder.finish()]);
    run();
    return readBuffer(device, rgba.buffer, 0, bytesOf(rgba.shape));
  }

  /** Values of the last decoded picture [N, H, W, 3], roughly in [-1, 1] and not clamped, to compare with a reference. */
  async readImage(): Promise<Float32Array> {
    const { picture, rgba } = this.programs;
    invariant(picture, `readImage: of pictures ${showShape(rgba.shape)} only RGBA is kept, values exceed a binding`);
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

/** Undefined where one piece is all. */
async function inPieces(
  parts: StageParts,
  config: FirstStageConfig,
  settings: GraphOptions,
  size: HalfSize,
): Promise<DecoderPrograms | undefined> {
  const { bands, tile } = size;
  if (tile !== undefined) {
    const tiled = await (await import("./decoderTiles.js")).decoderTiles(parts, config, settings, size);
    if (tiled) return tiled;
  }
  if (!bands) return undefined;
  return programOf(parts, (await import("./decoderBands.js")).bandedDecoderGraph(config, size, settings, bands));
}

/** Tiles, bands, and the small autoencoder here, are fetched with the first request that needs them. */
async function inOnePiece(
  parts: StageParts,
  config: FirstStageConfig,
  settings: GraphOptions,
  size: StageSize,
): Promise<DecoderPrograms> {
  const recorded =
    config.kind === "tiny"
      ? decoderGraph(config, size, settings, (await import("../models/tinyAutoencoder.js")).decodeTiny)
      : decoderGraph(config, size, settings, decodeLatent);
  return programOf(parts, recorded);
}

async function programOf(
  parts: StageParts,
  { graph, latent, picture, rgba }: ReturnType<typeof decoderGraph>,
): Promise<DecoderPrograms> {
  const plan = await parts.compile(graph);
  return {
    latent: held(plan, latent),
    rgba: held(plan, rgba),
    picture: held(plan, picture),
    run: () => plan.run("step"),
  };
}
