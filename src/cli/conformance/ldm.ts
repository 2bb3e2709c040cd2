import { invariant, UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { reshape, type Tensor } from "../../graph/graph.js";
import {
  type AutoencoderConfig,
  decodeLatent,
  parseAutoencoderConfig,
  quantizeLatent,
} from "../../models/autoencoder.js";
import { encodeMoments } from "../../models/autoencoderEncoder.js";
import { bertText, parseBertConfig } from "../../models/bert.js";
import { classEmbedding, parseClassEmbedderConfig } from "../../models/classEmbedder.js";
import { clipText, parseClipConfig } from "../../models/clip.js";
import { parseSpatialRescalerConfig, spatialRescaler } from "../../models/spatialRescaler.js";
import { concat } from "../../ops/concat.js";
import { embedding } from "../../ops/embedding.js";
import { resizeNearest } from "../../ops/resize.js";
import { type Part, type Translated, translate, translateUNet } from "../../pipeline/compvis/translate.js";
import { samplerPath } from "../../sampling/sampler.js";
import { parseSchedulerConfig } from "../../sampling/schedule.js";
import { settleLatent } from "./codes.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { type GoldenFile, valuesOf } from "./goldenFile.js";
import type { Lab, ProgramOptions } from "./lab.js";
import { type Denoising, denoise, evaluate } from "./ldmDenoiser.js";
import { type Limit, limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import type { StoredRun } from "./storedRun.js";
import { channelsFirst, channelsLast, reshaped, type Values } from "./values.js";

export interface CheckpointContext extends ModelContext {
  /** What the file of weights says beside them. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** A checkpoint in the layout of the original code: every stored result of it. */
export async function runCheckpoint(context: CheckpointContext, run: StoredRun | undefined): Promise<Check[]> {
  const { json, io, weights, lab } = context;
  if (String(new Fields(json, context.configPath).raw("target") ?? "").endsWith(".UNetModel")) return runBare(context);
  const { metadata } = context;
  const model = await translate(weights, { config: json, metadata });
  const raw = model.ema ? await translate(weights, { config: json, metadata, ema: false }) : model;
  const stage = await runFirstStage(model.firstStage!, io, lab);
  const found = new Map<string, Values>(stage.results);
  const put = (name: string, values: Values | undefined) => values && found.set(name, values);

  const joined = await condition(model, io, lab);
  if (joined && model.concat.kind !== "image") put("cond", channelsFirst(joined)); // made from what was given
  const context1 = await encode(model, io, "in.cond", lab);
  const context0 = await encode(model, io, "in.ucond", lab);
  put("context", context1);
  put("uncond_context", context0);

  const [x, t] = [channelsLast(await io.values("in.x")), await io.values("in.t")];
  const given = { ...(joined ? { joined } : {}), ...(context1 ? { context: context1 } : {}) };
  put("eps", channelsFirst(await evaluate(lab, raw.unet, { x, t, ...given })));
  if (model.ema) put("eps_ema", channelsFirst(await evaluate(lab, model.unet, { x, t, ...given })));

  const scheduler = parseSchedulerConfig(model.scheduler);
  invariant(run, `${io.path}: index.json does not say how it was sampled`);
  const samplers = io.has("out.sample_latent_plms") ? (["", "_plms"] as const) : ([""] as const);
  for (const suffix of samplers) {
    const sampler = suffix === "_plms" ? "plms" : run.sampler;
    const path = samplerPath(scheduler, { sampler, steps: run.steps });
    const denoising: Denoising = {
      start: channelsLast(await io.values("in.x_T")),
      path,
      prediction: scheduler.prediction,
      guidance: run.guidance,
      ...given,
      ...(context0 ? { unconditional: context0 } : {}),
    };
    const latent = await denoise(lab, model.unet, denoising);
    put(`sample_latent${suffix}`, channelsFirst(latent));
    if (suffix === "")
      put("sample_image", await stage.decode(latent, channelsLast(await io.values("out.sample_latent"))));
  }
  return compareAll(io, found, lab);
}

/** A UNet alone. */
async function runBare({ json, io, weights, lab }: ModelContext): Promise<Check[]> {
  const [x, t] = [channelsLast(await io.values("in.x")), await io.values("in.t")];
  const labels = io.has("in.y") ? { labels: await io.values("in.y") } : {};
  const eps = channelsFirst(await evaluate(lab, translateUNet(weights, json), { x, t, ...labels }));
  return compareAll(io, new Map([["eps", eps]]), lab);
}

const limitOf = (name: string): Limit => {
  if (/^eps/.test(name)) return limits.unet;
  if (/context$/.test(name)) return limits.text;
  return /^sample_/.test(name) ? limits.loop : limits.vae;
};

/** Every result is stored, and every stored result is there. */
async function compareAll(io: GoldenFile, found: ReadonlyMap<string, Values>, lab: Lab): Promise<Check[]> {
  const unknown = io.names("out.").find((name) => !found.has(name.slice("out.".length)));
  if (unknown) throw new UnsupportedError(`the output ${unknown} is not supported yet`);
  const checks: Check[] = [];
  for (const [short, actual] of found) {
    const name = `out.${short}`;
    const expected = await io.values(name);
    if (short === "codebook_indices") checks.push(compareExactly(name, reshaped(actual, expected.shape), expected));
    else checks.push(...compareFloats(name, actual, expected, limitOf(short), lab.precision));
  }
  return checks;
}

/** The encoder on the picture, and the decoder on the stored latent in the ways of its kind. */
async function runFirstStage(part: Part, io: GoldenFile, lab: Lab) {
  const config = parseAutoencoderConfig(part.config);
  const image = channelsLast(await io.values("in.image"));
  const latent = unscaled(channelsLast(await io.values("in.latent")), config);
  const options: ProgramOptions = { weights: part.tensors, component: "first stage" };
  const codes = config.kind === "vq" ? await io.values("out.codebook_indices") : undefined;
  const results = await lab.run(options, ({ scope, input }): Readonly<Record<string, Tensor>> => {
    const z = input(latent);
    const encoded = encodeMoments(scope, input(image), config);
    const decoded = decodeLatent(scope, z, config);
    if (!codes) return { moments: encoded, decoded };
    const [n, height, width] = codes.shape as [number, number, number];
    const ids = input({ shape: [n, height * width], data: codes.data }, "u32");
    const table = scope.at("quantize.embedding");
    const { indices, quantised } = quantizeLatent(scope, z, config);
    // The table is float32 whatever the graph's type, as the lookup by distance has it.
    const name = table.at("weight").path;
    const shape = [config.codes, config.latentChannels];
    const codebook = scope.graph.weight({ name, shape, layout: "plain", dtype: "f32" });
    const looked: Tensor = reshape(embedding(ids, codebook), [n, height, width, config.latentChannels]);
    return {
      first_stage_latent: encoded,
      decoded,
      decoded_not_quantized: decodeLatent(scope, z, config, { quantize: false }),
      decoded_from_indices: decodeLatent(scope, looked, config, { quantize: false }),
      quantized: quantised,
      codebook_indices: indices,
    };
  });
  const vq = config.kind === "vq" && lab.precision === "f16";
  const codebook = vq ? await valuesOf(part.tensors.get("quantize.embedding.weight")!) : undefined;
  /** Decodes a latent that is compared with the expected one on its own. */
  const decode = async (found: Values, expected: Values): Promise<Values> => {
    const ignore = (name: string) => /^(encoder|quant_conv)\./.test(name);
    const latent = unscaled(found, config);
    const settled = codebook ? settleLatent(latent, unscaled(expected, config), codebook) : latent;
    const { image: decoded } = await lab.run({ ...options, ignore }, ({ scope, input }) => ({
      image: decodeLatent(scope, input(settled), config),
    }));
    return channelsFirst(decoded);
  };
  const named = Object.entries(results).map(
    ([name, values]) => [name, name === "codebook_indices" ? values : channelsFirst(values)] as const,
  );
  return { results: new Map(named), decode };
}

const unscaled = ({ shape, data }: Values, { scalingFactor }: AutoencoderConfig): Values => ({
  shape,
  data: Array.from(data, (value) => value / scalingFactor),
});

/** The context of token ids or class labels. */
async function encode(model: Translated, io: GoldenFile, name: string, lab: Lab): Promise<Values | undefined> {
  const { conditioner } = model;
  if (!io.has(name) || conditioner.kind === "none") return undefined;
  if (conditioner.kind === "embeddings") throw new UnsupportedError("given embeddings are not supported yet");
  const { config, tensors: weights } = conditioner.part;
  const ids = await io.values(name);
  const options = { weights, component: "conditioner" };
  const { context } = await lab.run(options, ({ scope, input }) => {
    if (conditioner.kind === "class") {
      const labels = input(reshaped(ids, [ids.data.length, 1]), "u32");
      return { context: classEmbedding(scope, labels, parseClassEmbedderConfig(config)) };
    }
    const tokens = input(ids, "u32");
    if (conditioner.kind === "clip") {
      return { context: clipText(scope.at("text_model"), tokens, parseClipConfig(config)).last };
    }
    return { context: bertText(scope, tokens, parseBertConfig(config)) };
  });
  return context;
}

/** What is joined to the latent, [N, H, W, C]. */
async function condition(model: Translated, io: GoldenFile, lab: Lab): Promise<Values | undefined> {
  const { concat: kind, firstStage } = model;
  if (kind.kind === "none") return undefined;
  const given = channelsLast(await io.values("in.concat"));
  if (kind.kind === "image") return given;
  if (kind.kind === "segmentation") {
    const { config, tensors: weights } = kind.part;
    const { map } = await lab.run({ weights, component: "rescaler" }, ({ scope, input }) => ({
      map: spatialRescaler(scope, input(given), parseSpatialRescalerConfig(config)),
    }));
    return map;
  }
  if (kind.kind !== "maskedImage") throw new UnsupportedError(`the condition ${kind.kind} is not supported yet`);
  const mask = channelsLast(await io.values("in.mask"));
  const config = parseAutoencoderConfig(firstStage!.config);
  const ignore = (name: string) => /^(decoder|post_quant_conv|quantize)\./.test(name);
  const options = { weights: firstStage!.tensors, component: "first stage", ignore };
  const { joined } = await lab.run(options, ({ scope, input }) => {
    const encoded = encodeMoments(scope, input(given), config);
    const [, height, width] = encoded.shape as [number, number, number];
    return { joined: concat(encoded, resizeNearest(input(mask), [height, width])) };
  });
  return joined;
}
