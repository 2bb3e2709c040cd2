import type { Denoiser } from "../denoiser.js";
import { toChannelsFirst } from "../noiseStream.js";
import type { EncodedLatent } from "../picture.js";

/** The clean latent that the last step predicted; of a batch, the first picture's. */
export async function predictedLatent(denoiser: Denoiser): Promise<EncodedLatent> {
  const [, height, width, channels] = denoiser.latentShape;
  const values = await denoiser.readPredicted();
  const first = values.subarray(0, height * width * channels);
  return { channels, height, width, values: toChannelsFirst(first, [1, height, width, channels]) };
}
