import { invariant } from "../../core/invariant.js";
import { showShape, sizeOf } from "../../core/shape.js";
import { latentChannels, latentFactor } from "../modelConfig.js";
import { type Latent, NoiseStream, toChannelsFirst, toChannelsLast } from "../noiseStream.js";
import type { DecodedImage, EncodedLatent, ImageInput } from "../picture.js";
import { checkImage, numbersOf, toSigned } from "../pixels.js";
import type { Programs } from "../programs.js";
import { finite, integer } from "../request.js";

/** How a picture is encoded. */
export interface EncodeImageOptions {
  /** Samples the code of a KL first stage with PyTorch's noise of this seed; its mean is taken when absent. */
  readonly seed?: number;
  /** Most bytes that intermediates may take; where one piece takes more, it works in tiles. */
  readonly memoryBudget?: number;
}

/** Encodes a picture whose sides are multiples of the model's `sizeMultiple` (paper §3.1). */
export async function encodePicture(
  programs: Programs,
  input: ImageInput,
  { seed, memoryBudget }: EncodeImageOptions,
): Promise<EncodedLatent> {
  checkBudget(memoryBudget);
  const image = await numbersOf(input);
  checkImage("image", image, programs.limits.sizeMultiple);
  if (seed !== undefined) integer("seed", seed, 0, Number.MAX_SAFE_INTEGER);
  const { config } = programs;
  const kl = config.firstStage?.kind === "kl";
  invariant(seed === undefined || kl, "seed: this first stage encodes to no distribution, expected none");
  const factor = latentFactor(config);
  const shape: Latent = [1, image.height / factor, image.width / factor, latentChannels(config)];
  const encoder = await programs.encoder({ images: 1, height: image.height, width: image.width }, memoryBudget);
  const noise = seed === undefined ? {} : { noise: new NoiseStream({ noise: "torch", seeds: [seed] }).values(shape) };
  encoder.encode(toSigned(image), noise);
  const [, height, width, channels] = shape;
  return { channels, height, width, values: toChannelsFirst(await encoder.readLatent(), shape) };
}

/** Decodes a latent, scaled as the denoiser has it. */
export async function decodeLatents(
  programs: Programs,
  latent: EncodedLatent,
  { memoryBudget }: Pick<EncodeImageOptions, "memoryBudget">,
): Promise<DecodedImage> {
  checkBudget(memoryBudget);
  invariant(typeof latent === "object" && latent !== null, `latent: expected what encode gives, got ${latent}`);
  const { channels, height, width, values } = latent;
  const expected = latentChannels(programs.config);
  invariant(channels === expected, `latent: expected ${expected} channels, got ${channels}`);
  integer("latent height", height, 1, 4096);
  integer("latent width", width, 1, 4096);
  const shape: Latent = [1, height, width, channels];
  invariant(
    values instanceof Float32Array && values.length === sizeOf(shape),
    `latent: expected ${sizeOf(shape)} values for ${showShape([channels, height, width])}, got ${values?.length}`,
  );
  invariant(values.every(Number.isFinite), "latent: expected finite numbers");
  const decoder = await programs.decoder({ images: 1, height, width }, memoryBudget);
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST | GPUBufferUsage.STORAGE;
  const buffer = programs.device.buffer("latent", sizeOf(shape) * 4, usage);
  try {
    programs.device.gpu.queue.writeBuffer(buffer, 0, toChannelsLast(values, shape));
    const factor = latentFactor(programs.config);
    const pixels = new Uint8ClampedArray(await decoder.decode(buffer));
    return { width: width * factor, height: height * factor, pixels };
  } finally {
    buffer.destroy();
  }
}

function checkBudget(memoryBudget: number | undefined): void {
  if (memoryBudget !== undefined) finite("memoryBudget", memoryBudget, 1, Number.MAX_SAFE_INTEGER);
}
