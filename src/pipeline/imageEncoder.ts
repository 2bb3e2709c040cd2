import { invariant } from "../core/invariant.js";
import { type Shape, showShape, sizeOf } from "../core/shape.js";
import type { Device } from "../gpu/device.js";
import { readBuffer } from "../gpu/readback.js";
import type { GraphOptions } from "../graph/graph.js";
import { downsampling } from "../models/autoencoder.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import type { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { encoderGraph, latentGraph } from "./encoderGraphs.js";
import { bytesOf, floats, StageParts } from "./stageParts.js";
import { encoderTileGraph } from "./tileGraphs.js";
import { gridOf, type HalfSize, type StageSize, type TileGrid } from "./tileGrid.js";
import { compileTiles } from "./tilePrograms.js";
import type { WeightBuffers } from "./upload.js";

export interface EncodeOptions {
  /** Standard normal noise [N, h, w, C] for a sample of a KL first stage; its mean is taken without. */
  readonly noise?: Float32Array<ArrayBuffer>;
  /** Whether the model's scaling is applied, so that the denoiser can work on the latent; it is unless false. */
  readonly scaled?: boolean;
}

/** Programs that turn pictures of one size into latents. */
export class ImageEncoder {
  private constructor(
    private readonly parts: StageParts,
    private readonly size: { readonly image: Shape; readonly latent: Shape },
    /** The last encoded latent, [N, h, w, C] in f32. */
    readonly latent: GPUBuffer,
    private readonly run: (image: Float32Array<ArrayBuffer>) => void,
    private readonly finish: Readonly<Record<"scaled" | "raw", ReturnType<typeof latentGraph> & { plan: Plan }>>,
  ) {}

  /**
   * @param weights of the encoder's half, as `encoderRequests` lists them
   * @param size of the picture; a multiple of the first stage's factor
   */
  static compile(
    device: Device,
    config: FirstStageConfig,
    weights: WeightBuffers,
    pool: SlotPool,
    settings: GraphOptions,
    size: HalfSize,
  ): Promise<ImageEncoder> {
    return StageParts.build(device, pool, weights, async (parts) => {
      const { images } = size;
      const factor = downsampling(config);
      const [height, width] = [size.height / factor, size.width / factor];
      invariant(
        Number.isInteger(height) && Number.isInteger(width),
        `encoder: picture is ${size.width} x ${size.height}, expected multiples of ${factor}`,
      );
      const image = [images, size.height, size.width, config.inChannels];
      const latent = [images, height, width, config.latentChannels];
      const grid = gridOf({ images, height, width }, size.tile);
      const { code, run } = grid
        ? await encodeTiles(parts, config, settings, image, grid)
        : await encodeWhole(parts, config, settings, size);
      const half = async (scaled: boolean) => {
        const last = latentGraph(config, { images, height, width }, scaled, settings);
        return { ...last, plan: await parts.compile(last.graph, new Map([[last.code, code]])) };
      };
      const finish = { scaled: await half(true), raw: await half(false) };
      return new ImageEncoder(parts, { image, latent }, parts.buffer("encoded latent", latent), run, finish);
    });
  }

  /**
   * Encodes a picture [N, H, W, 3] in [-1, 1]; the result is left in `latent`. Returns as soon as the work is submitted.
   */
  encode(image: Float32Array<ArrayBuffer>, { noise, scaled = true }: EncodeOptions = {}): void {
    const { size, latent } = this;
    const expect = (name: string, values: Float32Array, shape: Shape) =>
      invariant(
        values.length === sizeOf(shape),
        () => `encode: ${name} has ${values.length} values, expected ${showShape(shape)}`,
      );
    expect("image", image, size.image);
    if (noise) expect("noise", noise, size.latent);
    const { plan, noise: noiseInput, latent: result } = this.finish[scaled ? "scaled" : "raw"];
    invariant(noiseInput || !noise, "encode: noise was given, but this first stage encodes to no distribution");
    this.run(image);
    if (noiseInput) plan.write(noiseInput, noise ?? new Float32Array(sizeOf(size.latent)));
    const { gpu } = this.parts.device;
    const encoder = gpu.createCommandEncoder({ label: "encoded latent" });
    plan.encode("step", encoder);
    encoder.copyBufferToBuffer(plan.buffer(result), 0, latent, 0, bytesOf(size.latent));
    gpu.queue.submit([encoder.finish()]);
  }

  /** Values of the last encoded latent, [N, h, w, C]. */
  async readLatent(): Promise<Float32Array> {
    return floats(await readBuffer(this.parts.device, this.latent, 0, bytesOf(this.size.latent)));
  }

  dispose(): void {
    this.parts.dispose();
  }
}

interface CodeProgram {
  readonly code: GPUBuffer;
  readonly run: (image: Float32Array<ArrayBuffer>) => void;
}

async function encodeWhole(
  parts: StageParts,
  config: FirstStageConfig,
  settings: GraphOptions,
  size: StageSize,
): Promise<CodeProgram> {
  const { graph, image, code } = encoderGraph(config, size, settings);
  const plan = await parts.compile(graph);
  const run = (values: Float32Array<ArrayBuffer>) => {
    plan.write(image, values);
    plan.run("step");
  };
  return { code: plan.buffer(code), run };
}

/** The picture goes to the device tile by tile. */
async function encodeTiles(
  parts: StageParts,
  config: FirstStageConfig,
  settings: GraphOptions,
  shape: Shape,
  grid: TileGrid,
): Promise<CodeProgram> {
  const images = shape[0]!;
  const factor = downsampling(config);
  const programs = await compileTiles(parts, grid, (size) => encoderTileGraph(config, images, grid, size, settings));
  const run = (values: Float32Array<ArrayBuffer>) => {
    for (const { plan, program, place } of programs.tiles(images)) {
      const origin = [place[1]! * grid.step * factor, place[2]! * grid.step * factor] as const;
      plan.write(program.image, cut(values, shape, place[0]!, origin, program.image.shape));
      plan.write(program.place, place);
      plan.run("step");
    }
  };
  return { code: programs.plan.buffer(programs.first.code), run };
}

/** Part of one picture of a batch, from `origin` (row, column) on. */
function cut(
  values: Float32Array,
  [, height, width, channels]: Shape,
  image: number,
  [top, left]: readonly [number, number],
  shape: Shape,
): Float32Array<ArrayBuffer> {
  const [, rows, columns] = shape as [number, number, number];
  const line = columns * channels!;
  const part = new Float32Array(rows * line);
  for (let y = 0; y < rows; y++) {
    const at = ((image * height! + top + y) * width! + left) * channels!;
    part.set(values.subarray(at, at + line), y * line);
  }
  return part;
}
