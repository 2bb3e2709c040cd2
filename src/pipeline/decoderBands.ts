import type { GraphOptions } from "../graph/graph.js";
import type { AutoencoderConfig } from "../models/autoencoderConfig.js";
import { type Bands, decodeInBands } from "../models/decoderBands.js";
import { decoderGraph } from "./decoderGraph.js";
import { type DecoderPrograms, held } from "./decoderPrograms.js";
import { bytesOf, type StageParts } from "./stageParts.js";
import type { StageSize } from "./tileGrid.js";

/** As `decoderGraph` for one picture, with the last levels in bands of rows. */
export const bandedDecoderGraph = (
  config: AutoencoderConfig,
  { height, width }: StageSize,
  settings: GraphOptions,
  bands: Bands,
) =>
  decoderGraph(config, { images: 1, height, width }, settings, (w, latent, of) => decodeInBands(w, latent, of, bands));

/** The program of a decoder in bands, which works on the pictures of a batch one after the other. */
export async function decoderBands(
  parts: StageParts,
  config: AutoencoderConfig,
  settings: GraphOptions,
  size: StageSize,
  bands: Bands,
): Promise<DecoderPrograms> {
  const { images } = size;
  const { graph, ...tensors } = bandedDecoderGraph(config, size, settings, bands);
  const plan = await parts.compile(graph);
  const latent = held(plan, tensors.latent);
  const rgba = held(plan, tensors.rgba);
  const picture = held(plan, tensors.picture);
  if (images === 1) return { latent, rgba, picture, run: () => plan.run("step") };
  const batch = (label: string, { shape: [, ...rest] }: typeof latent) => {
    const shape = [images, ...rest];
    return { buffer: parts.buffer(label, shape), shape };
  };
  const all = {
    latent: batch("latents to decode", latent),
    rgba: batch("packed pictures", rgba),
    picture: batch("pictures", picture),
  };
  const { gpu } = parts.device;
  const run = () => {
    for (let image = 0; image < images; image++) {
      const before = gpu.createCommandEncoder({ label: "a latent of the batch" });
      const bytes = bytesOf(latent.shape);
      before.copyBufferToBuffer(all.latent.buffer, image * bytes, latent.buffer, 0, bytes);
      gpu.queue.submit([before.finish()]);
      plan.run("step");
      const after = gpu.createCommandEncoder({ label: "a picture of the batch" });
      for (const [one, every] of [
        [rgba, all.rgba],
        [picture, all.picture],
      ] as const) {
        const size = bytesOf(one.shape);
        after.copyBufferToBuffer(one.buffer, 0, every.buffer, image * size, size);
      }
      gpu.queue.submit([after.finish()]);
    }
  };
  return { ...all, run };
}
