import { decodeLatent, quantizeLatent } from "../../models/autoencoder.js";
import type { AutoencoderConfig } from "../../models/autoencoderConfig.js";
import { encodeMoments } from "../../models/autoencoderEncoder.js";
import { parseFirstStageConfig } from "../../models/firstStage.js";
import {
  decodeTiny,
  encodeTiny,
  fromUnitRange,
  type TinyAutoencoderConfig,
  toUnitRange,
} from "../../models/tinyAutoencoder.js";
import { gaussian } from "../../ops/gaussian.js";
import { settleCodes, settleTies } from "./codes.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { valuesOf } from "./goldenFile.js";
import { limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import { channelsFirst, channelsLast, reshaped, type Values } from "./values.js";

/** A first stage: encodes the image and decodes the latent, in the ways of its kind. */
export async function runAutoencoder(context: ModelContext): Promise<Check[]> {
  const config = parseFirstStageConfig(context.json, context.configPath);
  const image = channelsLast(await context.io.values("in.image"));
  const latent = channelsLast(await context.io.values("in.latent"));
  if (config.kind === "tiny") return runTiny(context, config, image, latent);
  return config.kind === "vq" ? runVq(context, config, image, latent) : runKl(context, config, image, latent);
}

/** Decodes the mean of the encoded image as well. */
async function runKl(
  context: ModelContext,
  config: AutoencoderConfig,
  image: Values,
  latent: Values,
): Promise<Check[]> {
  const { io, weights, lab } = context;
  const results = await lab.run({ weights, component: "vae" }, ({ scope, input }) => {
    const moments = encodeMoments(scope, input(image), config);
    const reconstruction = decodeLatent(scope, gaussian(moments), config);
    return { moments, reconstruction, decoded: decodeLatent(scope, input(latent), config) };
  });
  const moments = channelsFirst(results.moments);
  const mean = half(moments, 0);
  const logvar = mapped(half(moments, 1), (x) => Math.min(Math.max(x, -30), 20));
  const std = mapped(logvar, (x) => Math.exp(x / 2));
  const decoded = channelsFirst(results.decoded);
  const checks = await compareAll(context, { moments, mean, logvar, std, decoded });
  const [actual, expected] = [channelsFirst(results.reconstruction), await io.values("out.reconstruction")];
  checks.push(...compareFloats("out.reconstruction", actual, expected, limits.reconstruction, lab.precision));
  return checks;
}

/** Looks latents up in the codebook: the encoded image's, and those to decode. */
async function runVq(
  context: ModelContext,
  config: AutoencoderConfig,
  image: Values,
  latent: Values,
): Promise<Check[]> {
  const { io, weights, lab } = context;
  const results = await lab.run({ weights, component: "vqvae" }, ({ scope, input }) => {
    const latents = encodeMoments(scope, input(image), config);
    const given = input(latent);
    const { indices, quantised } = quantizeLatent(scope, latents, config);
    return {
      latents,
      indices,
      quantized: quantised,
      latentIndices: quantizeLatent(scope, given, config).indices,
      decoded: decodeLatent(scope, given, config),
      decodedRaw: decodeLatent(scope, given, config, { quantize: false }),
    };
  });
  const codebook = await valuesOf(weights.get("quantize.embedding.weight")!);
  // In f16 the encoded latent is one near the expected one, and its code may be another; latents to decode come in f32.
  const settled =
    lab.precision === "f16"
      ? settleTies(results.indices, await io.values("out.indices"), results.latents, codebook)
      : results.indices;
  const wanted = channelsLast(await io.values("out.quantized"));
  const checks = await compareAll(context, {
    latents: channelsFirst(results.latents),
    quantized: channelsFirst(settleCodes(results.quantized, results.indices, settled, wanted)),
    decoded: channelsFirst(results.decoded),
    decoded_not_quantized: channelsFirst(results.decodedRaw),
  });
  for (const [name, actual] of [
    ["out.indices", settled],
    ["out.latent_indices", results.latentIndices],
  ] as const) {
    const expected = await io.values(name);
    checks.push(compareExactly(name, reshaped(actual, expected.shape), expected));
  }
  return checks;
}

/** The latent to decode goes through [0, 1] and back too, as files keep latents as images. */
async function runTiny(
  context: ModelContext,
  config: TinyAutoencoderConfig,
  image: Values,
  latent: Values,
): Promise<Check[]> {
  const { weights, lab } = context;
  const results = await lab.run({ weights, component: "vae" }, ({ scope, input }) => ({
    latents: encodeTiny(scope, input(image), config),
    decoded: decodeTiny(scope, input(latent), config),
  }));
  const latents = channelsFirst(results.latents);
  const scaled = mapped(channelsFirst(latent), (x) => toUnitRange(x, config));
  const unscaled = mapped(scaled, (x) => fromUnitRange(x, config));
  const decoded = channelsFirst(results.decoded);
  return compareAll(context, { latents, decoded, scaled_0_1: scaled, unscaled });
}

/** Every result [N, C, H, W] against the stored one of its name. */
async function compareAll({ io, lab }: ModelContext, results: Readonly<Record<string, Values>>): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, actual] of Object.entries(results)) {
    checks.push(...compareFloats(`out.${name}`, actual, await io.values(`out.${name}`), limits.vae, lab.precision));
  }
  return checks;
}

/** First or second half of the channels. */
function half({ shape, data }: Values, which: 0 | 1): Values {
  const [n, channels, height, width] = shape as [number, number, number, number];
  const size = (channels / 2) * height * width;
  const out = Array.from(
    { length: n * size },
    (_, i) => data[Math.floor(i / size) * 2 * size + which * size + (i % size)]!,
  );
  return { shape: [n, channels / 2, height, width], data: out };
}

const mapped = ({ shape, data }: Values, f: (x: number) => number): Values => ({ shape, data: Array.from(data, f) });
