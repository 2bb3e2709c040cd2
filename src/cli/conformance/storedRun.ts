import { existsSync } from "node:fs";
import { join } from "node:path";
import { Fields } from "../../core/json.js";
import type { SamplerName } from "../../sampling/sampler.js";
import { readPythonJson } from "./pythonJson.js";

/** How the reference sampled a case. */
export interface StoredRun {
  readonly sampler: SamplerName;
  readonly steps: number;
  readonly guidance: number;
}

/** What `index.json` says of the sampling of a case, `NAME.cK.io.safetensors` of the model `name`, if it says anything. */
export async function storedRun(root: string, name: string, ioPath: string): Promise<StoredRun | undefined> {
  const path = join(root, "index.json");
  if (!existsSync(path)) return undefined;
  const key = /\.(c\d+)\.io\.safetensors$/.exec(ioPath)?.[1] ?? "";
  let at: unknown = await readPythonJson(path);
  for (const field of [name, "cases", key, "pipeline"]) {
    if (at !== undefined) at = new Fields(at, path).raw(field);
  }
  if (at === undefined) return undefined;
  const f = new Fields(at, `${path}: ${name} ${key}`);
  // "ddim (sample_latent, sample_image) and plms (sample_latent_plms)"
  const sampler = String(f.raw("sampler")).startsWith("plms") ? "plms" : "ddim";
  return { sampler, steps: f.count("steps"), guidance: f.number("guidance_scale", 1) };
}
