import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { invariant, WebldmError } from "../core/invariant.js";
import type { CheckpointOptions, ModelSource } from "../index.js";
import { hubModel } from "../weights/hubName.js";
import { folderFromPath, fromFile } from "../weights/node.js";
import { oneLine } from "../weights/oneLine.js";
import { defined } from "./defined.js";
import { isWeights } from "./modelFiles.js";
import { optional } from "./optional.js";
import { packageRoot } from "./packageRoot.js";

/** A model's folder or its single file, on this machine or by its address; or its name on a hub. */
export async function modelSource(path: string): Promise<ModelSource> {
  if (existsSync(path)) return statSync(path).isDirectory() ? folderFromPath(path) : fromFile(path);
  // A hub's models are folders: what ends like a file is one that is not there.
  const remote = /^https?:\/\//.test(path) || (!isWeights(path) && hubModel(path) !== undefined);
  invariant(remote, `${path}: expected a model's folder or file, an address or a hub name (owner/name)`);
  return path;
}

export interface ModelFlags {
  /** The original code's YAML or JSON beside a single file. */
  readonly config?: string;
  readonly vae?: string;
  readonly tokenizer?: string;
  readonly ema?: boolean;
  /** Of the hub. */
  readonly host?: string;
}

/** What accompanies a checkpoint, from the options of the command line. */
export async function checkpointOptions({ config, vae, tokenizer, ema, host }: ModelFlags): Promise<CheckpointOptions> {
  const vocabularies = tokenizer ?? join(packageRoot(), "weights", "tokenizers");
  const isThere = existsSync(vocabularies);
  invariant(isThere || tokenizer === undefined, `--tokenizer: expected a folder, '${tokenizer}' does not exist`);
  const token = process.env["WEBLDM_TOKEN"];
  return {
    cache: true, // a process fetches a model once, not at each start
    ...defined({ host, token }),
    ...(isThere ? { tokenizer: await folderFromPath(vocabularies) } : {}),
    ...(config === undefined ? {} : { config: await readConfig(config) }),
    ...(vae === undefined ? {} : { vae: await modelSource(vae) }),
    ...(ema === undefined ? {} : { ema }),
  };
}

/** The original code's configuration: YAML, of which JSON is a part. */
export async function readConfig(path: string): Promise<unknown> {
  invariant(existsSync(path), `--config: expected a YAML or JSON file, '${path}' does not exist`);
  const { parse } = await optional("yaml", () => import("yaml"));
  try {
    return parse(await readFile(path, "utf8")) as unknown;
  } catch (error) {
    throw new WebldmError(`${path}: is not valid YAML: ${oneLine(error)}`);
  }
}
