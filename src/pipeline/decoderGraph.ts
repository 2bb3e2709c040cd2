import { Graph, type GraphOptions, type Tensor } from "../graph/graph.js";
import { Scope } from "../graph/scope.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import { affine } from "../ops/affine.js";
import { toRgba } from "../ops/toRgba.js";
import type { StageSize } from "./tileGrid.js";

/** Records a decoder: `decodeLatent`, or another for other kinds of first stage. */
export type RecordDecoder<C> = (w: Scope, latent: Tensor, config: C) => Tensor;

/** A latent as the denoiser has it to pictures, in one piece. `size` is the latent's. */
export function decoderGraph<C extends FirstStageConfig>(
  config: C,
  size: StageSize,
  settings: GraphOptions,
  decode: RecordDecoder<C>,
) {
  const graph = new Graph(settings);
  const { images, height, width } = size;
  const latent = graph.input("latent to decode", [images, height, width, config.latentChannels], "f32", "step");
  const { scale, shift } = toRaw(config);
  const z = scale === 1 && shift === 0 ? latent : affine(latent, { scale, shift });
  const picture = graph.output(decode(new Scope(graph), z, config));
  return { graph, latent, picture, rgba: graph.output(toRgba(picture)) };
}

/** From the denoiser's latent to the first stage's own. */
export const toRaw = ({ scalingFactor, shiftFactor }: FirstStageConfig) => ({
  scale: 1 / scalingFactor,
  shift: shiftFactor,
});
