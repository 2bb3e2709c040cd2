import type { Graph, GraphOptions } from "../graph/graph.js";
import { samplerPath } from "../sampling/sampler.js";
import type { Checkpoint } from "./checkpoint.js";
import { contextGraph, recorderOf } from "./contextEncoder.js";
import { blendGraph, type DenoiseShape, denoiseGraph } from "./denoiser.js";
import { confines } from "./draw.js";
import { contextLength, latentFactor } from "./modelConfig.js";
import { type SamplingOptions, type SizeOptions, validate, validateSize } from "./request.js";
import type { StageSize } from "./tileGrid.js";

/** What of a request decides its programs. */
export type RequestShape = SizeOptions &
  Pick<SamplingOptions, "images" | "guidance" | "sampler" | "spacing" | "steps" | "memoryBudget">;

export interface RequestGraphs {
  readonly denoise: Graph;
  readonly blend: Graph;
  /** The text encoder's, of models that have one. */
  readonly context: Graph | undefined;
  /** Of the latent that is decoded in the end. */
  readonly latent: StageSize;
}

/** The programs of a picture from noise, but for the decoder's, recorded without weights. */
export async function requestGraphs(
  checkpoint: Checkpoint,
  options: RequestShape,
  settings: GraphOptions,
): Promise<RequestGraphs> {
  const { config } = checkpoint;
  const request = validate({ seed: 0, ...options }, checkpoint);
  const size = validateSize(options, checkpoint);
  const factor = latentFactor(config);
  const images = request.seeds.length;
  const latent = { images, height: size.height / factor, width: size.width / factor };
  const path = samplerPath(request.scheduler, request);
  const guided = request.guidance !== 1 && config.conditioner.kind !== "none";
  const shape: DenoiseShape = {
    ...latent,
    guided,
    guidanceRescale: false,
    contextLength: contextLength(config) ?? 1,
    noise: request.noise,
    stepNoise: path.draws,
    thresholding: confines(request),
    registers: path.registers,
  };
  const { kind } = config.conditioner;
  const encodes = kind !== "none" && kind !== "embeddings";
  const batch = images * (guided ? 2 : 1);
  return {
    denoise: denoiseGraph(config, shape, settings).graph,
    blend: blendGraph(config, shape, settings).graph,
    context: encodes ? contextGraph(config, batch, settings, await recorderOf(config.conditioner)).graph : undefined,
    latent,
  };
}
