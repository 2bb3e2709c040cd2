import type { Device } from "../../gpu/device.js";
import type { Graph, GraphOptions } from "../../graph/graph.js";
import { decodeLatent } from "../../models/autoencoder.js";
import { compilePipelines } from "../../plan/plan.js";
import type { Checkpoint } from "../checkpoint.js";
import { settingsOf } from "../components.js";
import { contextGraph, recorderOf } from "../contextEncoder.js";
import { decoderFits } from "../decoderFits.js";
import { decoderGraph } from "../decoderGraph.js";
import { blendGraph, denoiseGraph, fillGraph } from "../denoiser.js";
import type { PrepareOptions } from "../request.js";
import { contextShape, denoiseShape } from "./prepare.js";

/**
 * Compiles the pipelines that a request of a size will need, while its weights are still on their way: drivers take
 * processors for it that loading leaves idle. Programs find them compiled, and report what does not compile.
 */
export async function compileAhead(
  device: Device,
  checkpoint: Checkpoint,
  settings: GraphOptions,
  options: PrepareOptions,
): Promise<void> {
  const { config } = checkpoint;
  const { firstStage } = config;
  const graphs: Graph[] = [];
  const about = { config, limits: checkpoint };
  const conditions = contextShape(about, options);
  if (conditions) graphs.push(contextGraph(config, conditions, settings, await recorderOf(config.conditioner)).graph);
  const shape = denoiseShape(about, options);
  if (shape) {
    for (const record of [denoiseGraph, fillGraph, blendGraph]) graphs.push(record(config, shape, settings).graph);
  }
  const decoding = settingsOf("decoder", config, settings);
  if (shape && firstStage) {
    const { images, height, width } = shape;
    const size = { images, height, width };
    const { memoryBudget: budget } = options;
    if (budget !== undefined) {
      const { divisionFor, stageGraphs } = await import("../division.js");
      const division = divisionFor("decoder", firstStage, size, { settings: decoding, device, budget });
      graphs.push(...stageGraphs("decoder", firstStage, size, decoding, division));
    } else if (decoderFits(firstStage, size, decoding, device.gpu.limits.maxBufferSize)) {
      graphs.push(decoderGraph(firstStage, size, decoding, decodeLatent).graph);
    }
  }
  await Promise.all(graphs.map((graph) => compilePipelines(device, graph)));
}
