import { existsSync } from "node:fs";
import { basename } from "node:path";
import { invariant, UnsupportedError } from "../../core/invariant.js";
import type { Case } from "./case.js";
import type { Check } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import { readPythonJson } from "./pythonJson.js";
import { runTextEncoder } from "./text.js";
import { runUNet } from "./unet.js";
import { runAutoencoder } from "./vae.js";

const kinds = { text: runTextEncoder, unet: runUNet, vae: runAutoencoder, checkpoint: runCheckpoint } as const;
type ModelKind = keyof typeof kinds;

/** The cases of one model: `NAME.config.json`, `NAME.weights.safetensors` and each `NAME.cK.io.safetensors`. */
export async function modelCases(stem: string, name: string, ioPaths: readonly string[]): Promise<Case[]> {
  const configPath = `${stem}.config.json`;
  const json = await parseConfig(configPath);
  const kind = json instanceof Error ? "unknown" : kindOf(json, name);
  const make = (caseName: string, run: Case["run"]): Case => ({ name: caseName, kind, run });
  if (ioPaths.length === 0) {
    return [
      make(name, async () => Promise.reject(new UnsupportedError("there is no case file beside the configuration"))),
    ];
  }
  return ioPaths.map((ioPath) =>
    make(name + basename(ioPath).slice(basename(stem).length).replace(".io.safetensors", ""), async (lab) => {
      if (json instanceof Error) throw json;
      if (kind === "unknown") throw new UnsupportedError(`${configPath}: this kind of model is not supported yet`);
      if (kind === "checkpoint") return runCheckpoint();
      const weightsPath = `${stem}.weights.safetensors`;
      invariant(existsSync(weightsPath), `${weightsPath} does not exist`);
      const [io, weights] = await Promise.all([GoldenFile.open(ioPath), GoldenFile.open(weightsPath)]);
      return kinds[kind]({ json, configPath, io, weights: weights.tensors, lab });
    }),
  );
}

async function parseConfig(path: string): Promise<unknown> {
  try {
    return await readPythonJson(path);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** By the class that the configuration names, else by the folder. */
function kindOf(json: unknown, name: string): ModelKind | "unknown" {
  const config = (typeof json === "object" && json !== null ? json : {}) as Record<string, unknown>;
  const target = String(config["target"] ?? (config["model"] as Record<string, unknown> | undefined)?.["target"] ?? "");
  const className = String(config["_class_name"] ?? config["architectures"] ?? config["model_type"] ?? "");
  if (target) return "checkpoint";
  if (/^UNet/.test(className)) return "unet";
  if (/^(Autoencoder|VQModel)/.test(className)) return "vae";
  if (/^clip|CLIPText/i.test(className)) return "text";
  const folder = /(^|\/)(clip|unet|vae|ldm)\/[^/]*$/.exec(name)?.[2];
  const byFolder: Readonly<Record<string, ModelKind>> = { clip: "text", unet: "unet", vae: "vae", ldm: "checkpoint" };
  return byFolder[folder ?? ""] ?? "unknown";
}

async function runCheckpoint(): Promise<Check[]> {
  throw new UnsupportedError("checkpoints in the layout of the original code are not supported yet");
}
