import { invariant, UnsupportedError } from "../core/invariant.js";
import type { Device } from "../gpu/device.js";
import { Graph, type GraphOptions, type Tensor } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import { clipText } from "../models/clip.js";
import { Plan } from "../plan/plan.js";
import type { SlotPool } from "../plan/pool.js";
import type { Conditioner, ModelConfig } from "./modelConfig.js";
import { contextLength } from "./modelConfig.js";
import type { WeightBuffers } from "./upload.js";

/** Records what turns ids [N, T] (tokens, boxes or classes) into the context [N, T, D]. */
export type RecordContext = (w: Scope, ids: Tensor, conditioner: Conditioner) => Tensor;

/** Of models of text by Stable Diffusion. */
export const clipContext: RecordContext = (w, ids, conditioner) => {
  const { kind } = conditioner;
  if (kind !== "clip") throw new UnsupportedError(`a model conditioned on ${kind} does not encode ids with CLIP`);
  return clipText(w.at(conditioner.prefix), ids, conditioner.config).last;
};

/** The encoders beside CLIP's are fetched with the first model that has one. */
export async function recorderOf({ kind }: Conditioner): Promise<RecordContext> {
  return kind === "clip" ? clipContext : (await import("./ownContext.js")).ownContext;
}

/** Ids [N, T] to the context [N, T, D]. */
export function contextGraph(
  config: ModelConfig,
  count: number,
  settings: GraphOptions,
  encode: RecordContext = clipContext,
) {
  const graph = new Graph(settings);
  const ids = graph.input("ids", [count, contextLength(config) ?? 0], "u32", "prompt");
  const context = graph.output(encode(new Scope(graph), ids, config.conditioner));
  return { graph, ids, context };
}

/** The compiled encoder of a number of conditions. */
export class ContextEncoder {
  private constructor(
    private readonly program: ReturnType<typeof contextGraph>,
    readonly plan: Plan,
  ) {}

  static async compile(
    device: Device,
    config: ModelConfig,
    weights: WeightBuffers,
    pool: SlotPool,
    settings: GraphOptions,
    count: number,
  ): Promise<ContextEncoder> {
    const program = contextGraph(config, count, settings, await recorderOf(config.conditioner));
    return new ContextEncoder(program, await Plan.compile(device, program.graph, { pool, weights: weights.buffers }));
  }

  /** Encodes one row of ids for each condition; the context is then in `buffer`. */
  encode(ids: readonly (readonly number[])[]): void {
    const [count] = this.program.ids.shape;
    invariant(ids.length === count, `expected ${count} conditions, got ${ids.length}`);
    this.plan.write(this.program.ids, new Uint32Array(ids.flat()));
    this.plan.run("prompt");
  }

  get buffer(): GPUBuffer {
    return this.plan.buffer(this.program.context);
  }

  /** The context [N, T, D] as numbers. */
  read(): Promise<Float32Array> {
    return this.plan.read(this.program.context) as Promise<Float32Array>;
  }

  dispose(): void {
    this.plan.dispose();
  }
}
