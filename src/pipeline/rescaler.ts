import type { Device } from "../gpu/device.js";
import { Graph, type GraphOptions } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { type SpatialRescalerConfig, spatialRescaler } from "../models/spatialRescaler.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import { repeated } from "./pixels.js";
import type { WeightBuffers } from "./upload.js";

/** Shares of classes [N, h, w, classes] at the latent's size to the channels that are joined to the latent. */
export function rescalerGraph(
  config: SpatialRescalerConfig,
  [images, height, width]: readonly [number, number, number],
  settings: GraphOptions,
) {
  const graph = new Graph(settings);
  const shares = graph.input("class shares", [images, height, width, config.inChannels], "f32", "prompt");
  // The halvings of a one-hot map are means of 2 x 2 blocks: they are taken before the map is ever spelled out.
  const mapped = spatialRescaler(new Scope(graph), shares, { ...config, stages: 0 });
  return { graph, shares, mapped: graph.output(mapped) };
}

/** The compiled encoder of segmentation maps. */
export class Rescaler {
  private constructor(
    private readonly program: ReturnType<typeof rescalerGraph>,
    private readonly plan: Plan,
    private readonly images: number,
  ) {}

  static async compile(
    device: Device,
    config: SpatialRescalerConfig,
    weights: WeightBuffers,
    pool: SlotPool,
    settings: GraphOptions,
    size: { readonly images: number; readonly height: number; readonly width: number },
  ): Promise<Rescaler> {
    const program = rescalerGraph(config, [size.images, size.height, size.width], settings);
    return new Rescaler(
      program,
      await Plan.compile(device, program.graph, { pool, weights: weights.buffers }),
      size.images,
    );
  }

  /** Maps the shares of classes of one picture, [h, w, classes], for all of the batch; the result is then in `buffer`. */
  rescale(shares: Float32Array): void {
    this.plan.write(this.program.shares, repeated(shares, this.images));
    this.plan.run("prompt");
  }

  /** [N, h, w, channels] in f32. */
  get buffer(): GPUBuffer {
    return this.plan.buffer(this.program.mapped);
  }

  dispose(): void {
    this.plan.dispose();
  }
}

/** The share that each class has in each block of a segmentation map: [h, w, classes], what bilinear halvings of a one-hot map give. */
export function classFractions(
  map: { readonly width: number; readonly height: number; readonly classes: ArrayLike<number> },
  height: number,
  width: number,
  classes: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(height * width * classes);
  const [down, across] = [map.height / height, map.width / width];
  for (let y = 0; y < map.height; y++) {
    const row = Math.floor(y / down) * width;
    for (let x = 0; x < map.width; x++) {
      out[(row + Math.floor(x / across)) * classes + map.classes[y * map.width + x]!]! += 1 / (down * across);
    }
  }
  return out;
}
