import { invariant, UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import { clipText, parseClipConfig } from "../../models/clip.js";
import { linear } from "../../ops/linear.js";
import { type Check, compareFloats } from "./compare.js";
import { limits } from "./limits.js";
import type { ModelContext } from "./modelContext.js";
import type { Values } from "./values.js";

/** A text encoder: all hidden states, and what is taken from them at the end token. */
export async function runTextEncoder({ json, configPath, io, weights, lab }: ModelContext): Promise<Check[]> {
  const fields = new Fields(json, configPath);
  if (fields.raw("text_cfg"))
    throw new UnsupportedError(`${configPath}: the OpenCLIP layout of names is not supported yet`);
  const config = parseClipConfig(json, configPath);
  const ids = await io.values("in.input_ids");
  const prefix = [...weights.keys()].some((name) => name.startsWith("text_model.")) ? "text_model" : "";
  const projected = weights.has("text_projection.weight");
  const projection = projected ? fields.count("projection_dim", 512) : 0;
  const results = await lab.run({ weights, component: "text_encoder" }, ({ scope, input }) => {
    const text = clipText(scope.at(prefix), input(ids, "u32"), config);
    const penultimate = text.hiddenStates.at(-2)!;
    const states = text.hiddenStates.map((state, i) => [`hidden_states.${i}`, state] as const);
    return {
      ...Object.fromEntries(states),
      last_hidden_state: text.last,
      penultimate_hidden_state: penultimate,
      penultimate_final_layer_norm: text.finalNorm(penultimate),
      ...(projected
        ? { embeds: linear(text.last, scope.at("text_projection"), { out: projection, bias: false }) }
        : {}),
    };
  });
  const ends = endPositions(ids, fields);
  const actual = new Map(Object.entries(results));
  actual.set("pooled", rowsAt(results.last_hidden_state, ends));
  if (results.embeds) actual.set("text_embeds", rowsAt(results.embeds, ends));

  const required = ["last_hidden_state", "penultimate_hidden_state", "penultimate_final_layer_norm"];
  for (const name of required) io.stored(`out.${name}`);
  const checks: Check[] = [];
  for (const tensor of io.names("out.")) {
    const value = actual.get(tensor.slice("out.".length));
    if (!value) throw new UnsupportedError(`the output ${tensor} is not supported yet`);
    checks.push(...compareFloats(tensor, value, await io.values(tensor), limits.text, lab.precision));
  }
  return checks;
}

/** Where each prompt ends: the largest id when `eos_token_id` is 2 (older files state it wrongly), else the first such id. */
function endPositions({ shape, data }: Values, fields: Fields): number[] {
  const eos = fields.number("eos_token_id", 2);
  const [n, length] = shape as [number, number];
  return Array.from({ length: n }, (_, row) => {
    const ids = Array.from({ length }, (_, i) => data[row * length + i]!);
    const at = ids.indexOf(eos === 2 ? Math.max(...ids) : eos);
    invariant(at >= 0, `prompt ${row}: has no end token ${eos}`);
    return at;
  });
}

/** One row of each [T, C] of [N, T, C]. */
function rowsAt({ shape, data }: Values, positions: readonly number[]): Values {
  const [n, length, width] = shape as [number, number, number];
  const out = positions.flatMap((at, row) =>
    Array.from({ length: width }, (_, c) => data[(row * length + at) * width + c]!),
  );
  return { shape: [n, width], data: out };
}
