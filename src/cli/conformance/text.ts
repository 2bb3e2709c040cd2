import { UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import type { Tensor } from "../../graph/graph.js";
import { reshape } from "../../graph/graph.js";
import { type ClipConfig, clipEmbedding, clipText, endStates, parseClipConfig } from "../../models/clip.js";
import { openClipNames } from "../../pipeline/compvis/textNames.js";
import { endRows } from "../../text/endToken.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { renamed } from "../../weights/view.js";
import { type Check, compareFloats } from "./compare.js";
import type { GoldenFile } from "./goldenFile.js";
import type { Lab } from "./lab.js";
import { limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import type { Values } from "./values.js";

type Tensors = ReadonlyMap<string, StoredTensor>;

/** A text encoder: all hidden states, and what is taken from them at the end token. */
export async function runTextEncoder({ json, configPath, io, weights, lab }: ModelContext): Promise<Check[]> {
  if (new Fields(json, configPath).raw("text_cfg")) return runOpenClip({ json, configPath, io, weights, lab });
  const ids = await io.values("in.input_ids");
  const results = await encode(lab, weights, parseClipConfig(json, configPath), ids);
  const required = ["last_hidden_state", "penultimate_hidden_state", "penultimate_final_layer_norm"];
  for (const name of required) io.stored(`out.${name}`);
  return compareAll(io, results, lab);
}

/** OpenCLIP under its own names, whole and without its last block, as Stable Diffusion 2 uses it. */
async function runOpenClip({ json, configPath, io, weights, lab }: ModelContext): Promise<Check[]> {
  const settings = new Fields(new Fields(json, configPath).raw("text_cfg"), configPath);
  const stored = withoutPrefix(weights, "cond_stage_model.");
  const ids = await io.values("in.input_ids");
  const run = (penultimate: boolean) => {
    const { config, tensors } = openClipNames(stored, { penultimate, heads: settings.count("heads") });
    return encode(lab, tensors, parseClipConfig(config, configPath), ids);
  };
  const [whole, shorter] = [await run(false), await run(true)];
  const results = {
    last: whole.last_hidden_state!,
    penultimate: whole.penultimate_hidden_state!,
    penultimate_ln_final: whole.penultimate_final_layer_norm!,
    text_embeds: whole.text_embeds!,
  };
  const asUsed = compareFloats(
    "out.penultimate_ln_final without the last block",
    shorter.last_hidden_state!,
    await io.values("out.penultimate_ln_final"),
    limits.text,
    lab.precision,
  );
  return [...(await compareAll(io, results, lab)), ...asUsed];
}

/** Everything that a text encoder gives, by transformers' names. */
async function encode(
  lab: Lab,
  weights: Tensors,
  config: ClipConfig,
  ids: Values,
): Promise<Readonly<Record<string, Values>>> {
  const prefix = [...weights.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
  const [n, length] = ids.shape as [number, number];
  const ends = { shape: [n, 1], data: endRows(ids.data, length, config.endToken) };
  return lab.run({ weights, component: "text_encoder" }, ({ scope, input }) => {
    const text = clipText(scope.at(prefix), input(ids, "u32"), config);
    const at = input(ends, "u32");
    const penultimate = text.hiddenStates.at(-2)!;
    const states = text.hiddenStates.map((state, i) => [`hidden_states.${i}`, state] as const);
    const flat = (tensor: Tensor) => reshape(tensor, [n, tensor.shape.at(-1)!]);
    return {
      ...Object.fromEntries(states),
      last_hidden_state: text.last,
      penultimate_hidden_state: penultimate,
      penultimate_final_layer_norm: text.finalNorm(penultimate),
      pooled: flat(endStates(text.last, at)),
      ...(config.projection ? { text_embeds: flat(clipEmbedding(scope, text.last, at, config)) } : {}),
    };
  });
}

/** Compares each output that the file holds. */
async function compareAll(io: GoldenFile, results: Readonly<Record<string, Values>>, lab: Lab): Promise<Check[]> {
  const checks: Check[] = [];
  for (const tensor of io.names("out.")) {
    const value = results[tensor.slice("out.".length)];
    if (!value) throw new UnsupportedError(`the output ${tensor} is not supported yet`);
    checks.push(...compareFloats(tensor, value, await io.values(tensor), limits.text, lab.precision));
  }
  return checks;
}

function withoutPrefix(tensors: Tensors, prefix: string): Tensors {
  const inner = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(
    inner.map(([name, tensor]) => [name.slice(prefix.length), renamed(tensor, name.slice(prefix.length))]),
  );
}
