import { existsSync } from "node:fs";
import { basename } from "node:path";
import { invariant, UnsupportedError } from "../../core/invariant.js";
import { fromFile } from "../../weights/node.js";
import { openWeights } from "../../weights/openWeights.js";
import type { Case } from "./case.js";
import { GoldenFile } from "./goldenFile.js";
import { runCheckpoint } from "./ldm.js";
import { readPythonJson } from "./pythonJson.js";
import { storedRun } from "./storedRun.js";
import { runTextEncoder } from "./text.js";
import { runUNet } from "./unet.js";
import { runAutoencoder } from "./vae.js";

const kinds = { text: runTextEncoder, unet: runUNet, vae: runAutoencoder } as const;
type ModelKind = keyof typeof kinds | "checkpoint";

/**
 * The cases of one model: `NAME.config.json`, `NAME.weights.safetensors` or `NAME.ckpt`, and each
 * `NAME.cK.io.safetensors`. `root` is the folder of the reference data.
 */
export async function modelCases(
  stem: string,
  name: string,
  ioPaths: readonly string[],
  root: string,
): Promise<Case[]> {
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
      const weightsPath = [`${stem}.weights.safetensors`, `${stem}.ckpt`].find((path) => existsSync(path));
      invariant(weightsPath, `${stem}.weights.safetensors does not exist`);
      const io = await GoldenFile.open(ioPath);
      const { tensors, metadata } = await openWeights(await fromFile(weightsPath));
      const context = { json, configPath, io, weights: tensors, metadata, lab };
      return kind === "checkpoint" ? runCheckpoint(context, await storedRun(root, name, ioPath)) : kinds[kind](context);
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
