import { decodeLatent, encodeMoments, parseAutoencoderConfig } from "../../models/autoencoder.js";
import { gaussian } from "../../ops/gaussian.js";
import { type Check, compareFloats } from "./compare.js";
import { limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import { channelsFirst, channelsLast, type Values } from "./values.js";

/** A first stage: encodes the image, decodes the latent, and decodes the mean of the encoded image. */
export async function runAutoencoder({ json, configPath, io, weights, lab }: ModelContext): Promise<Check[]> {
  const config = parseAutoencoderConfig(json, configPath);
  const image = channelsLast(await io.values("in.image"));
  const latent = channelsLast(await io.values("in.latent"));
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
  const checks: Check[] = [];
  for (const [name, actual] of Object.entries({ moments, mean, logvar, std, decoded })) {
    checks.push(...compareFloats(`out.${name}`, actual, await io.values(`out.${name}`), limits.vae, lab.precision));
  }
  const [actual, expected] = [channelsFirst(results.reconstruction), await io.values("out.reconstruction")];
  checks.push(...compareFloats("out.reconstruction", actual, expected, limits.reconstruction, lab.precision));
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
