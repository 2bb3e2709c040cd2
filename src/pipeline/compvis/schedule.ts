import { invariant, UnsupportedError } from "../../core/invariant.js";
import type { Fields } from "../../core/json.js";
import { toFloat32 } from "../../weights/decode.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import type { ZooEntry } from "./zoo.js";

type Json = Record<string, unknown>;

/** The original code's names of beta schedules in the terms of diffusers. */
const schedules: Readonly<Record<string, string>> = {
  linear: "scaled_linear",
  sqrt_linear: "linear",
  cosine: "squaredcos_cap_v2",
};

const predictions: Readonly<Record<string, string>> = { eps: "epsilon", v: "v_prediction", x0: "sample" };

const common = (prediction: string): Json => ({
  _class_name: "DDIMScheduler",
  convention: "compvis",
  clip_sample: false,
  prediction_type: prediction,
  set_alpha_to_one: false,
  steps_offset: 1,
});

/** The schedule that a configuration states; absent fields take the defaults of the original class (DDPM). */
export function statedSchedule(params: Fields): Json {
  const name = String(params.raw("beta_schedule") ?? "linear");
  const schedule = schedules[name];
  if (!schedule) throw new UnsupportedError(`${params.file}: beta_schedule ${name} is not supported yet`);
  const parameterization = String(params.raw("parameterization") ?? "eps");
  const prediction = predictions[parameterization];
  if (!prediction) {
    throw new UnsupportedError(`${params.file}: parameterization ${parameterization} is not supported yet`);
  }
  return {
    ...common(prediction),
    beta_schedule: schedule,
    beta_start: params.number("linear_start", 1e-4),
    beta_end: params.number("linear_end", 2e-2),
    num_train_timesteps: params.count("timesteps", 1000),
  };
}

/**
 * The schedule that the buffer `betas` of a checkpoint holds, else that of the published model; also where the buffer was
 * rounded to half precision together with the weights.
 */
export async function foundSchedule(
  betas: StoredTensor | undefined,
  entry: ZooEntry | undefined,
  prediction: string,
): Promise<Json> {
  const exact = betas?.dtype === "F32" || betas?.dtype === "F64";
  if (!betas || (entry && !exact)) {
    invariant(
      entry,
      "the file holds no schedule (betas) and is no published model: the original configuration is needed",
    );
    const [start, end] = entry.betas;
    return {
      ...common(prediction),
      beta_schedule: "scaled_linear",
      beta_start: start,
      beta_end: end,
      num_train_timesteps: 1000,
    };
  }
  const values = toFloat32(await betas.source.read(betas.begin, betas.end), betas.dtype);
  const n = values.length;
  // The ends are stored as float32: seven digits give back the number that was written in the configuration.
  const start = Number(values[0]!.toPrecision(7));
  const end = Number(values.at(-1)!.toPrecision(7));
  const evenly = (root: (x: number) => number, power: (x: number) => number) =>
    values.every((beta, i) => {
      const expected = power(root(start) + ((root(end) - root(start)) * i) / Math.max(1, n - 1));
      return Math.abs(beta - expected) <= (exact ? 1e-4 : 2e-3) * end;
    });
  const named = evenly(Math.sqrt, (x) => x * x)
    ? { beta_schedule: "scaled_linear" }
    : evenly(
          (x) => x,
          (x) => x,
        )
      ? { beta_schedule: "linear" }
      : { beta_schedule: "linear", trained_betas: Array.from(values) };
  return { ...common(prediction), ...named, beta_start: start, beta_end: end, num_train_timesteps: n };
}
