import { existsSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";
import { invariant, WebldmError } from "../../core/invariant.js";
import { oneLine } from "../../weights/oneLine.js";
import type { Case } from "./case.js";
import { compvisBetasCases, compvisCases, compvisTimestepCases } from "./compvisSamplers.js";
import { dtypesCase, pickleCase } from "./dtypes.js";
import { pipelineCases } from "./loop.js";
import { modelCases } from "./models.js";
import { opCases } from "./ops.js";
import { readPythonJson } from "./pythonJson.js";
import { betasCases, diffusersCases, scheduleCases } from "./samplers.js";
import { bertTokenizerCases, clipTokenizerCases } from "./tokenizers.js";

type FromJson = (path: string, json: unknown, prefix: string) => Case[];

/** Files of cases by their name; the prefix of the cases is the folder, or the file where a folder has several. */
const lists: Readonly<
  Record<string, { readonly prefix: (stem: string, folder: string) => string; readonly cases: FromJson }>
> = {
  "ops.json": { prefix: (_, folder) => folder, cases: opCases },
  "diffusers.json": { prefix: (stem) => stem, cases: diffusersCases },
  "schedules.json": { prefix: (stem) => stem, cases: scheduleCases },
  "betas.json": { prefix: (stem) => stem, cases: betasCases },
  "compvis.json": { prefix: (stem) => stem, cases: compvisCases },
  "compvis_timesteps.json": { prefix: (stem) => stem, cases: compvisTimestepCases },
  "clip_cases.json": { prefix: (stem) => stem.replace(/_cases$/, ""), cases: clipTokenizerCases },
  "bert_cases.json": {
    prefix: (stem) => stem.replace(/_cases$/, ""),
    cases: bertTokenizerCases,
  },
};

/**
 * Every case of a folder of reference data, found by walking it, in the order of their names.
 * @throws WebldmError where there is no such folder, or no case in it
 */
export async function discover(root: string): Promise<Case[]> {
  invariant(existsSync(root), `${root}: expected a folder of reference data, it does not exist`);
  invariant(statSync(root).isDirectory(), `${root}: expected a folder of reference data, it is a file`);
  const files = (await filesBelow(root)).sort();
  const cases: Case[] = [];
  for (const path of files) cases.push(...(await casesOf(root, path, files)));
  invariant(cases.length > 0, `${root}: expected a folder of reference data, it holds no cases`);
  return cases.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

async function casesOf(root: string, path: string, files: readonly string[]): Promise<Case[]> {
  const file = basename(path);
  const name = relative(root, path).split(sep).join("/");
  const stem = name.replace(/\.[^./]*$/, "");
  const folder = stem.split("/").slice(0, -1).join("/") || ".";
  const list = lists[file];
  if (list) {
    try {
      return list.cases(path, await readPythonJson(path), list.prefix(stem, folder));
    } catch (error) {
      return [failedCase(stem, oneLine(error))];
    }
  }
  if (file === "dtypes.safetensors") return [dtypesCase(path, stem)];
  if (file === "compvis_betas.safetensors") return compvisBetasCases(path, stem);
  if (/^pickle_.*\.ckpt$/.test(file)) return [pickleCase(path, stem)];
  if (file === "model_index.json" && /-diffusers$/.test(folder)) {
    return pipelineCases({ root, folder: path.slice(0, -"/model_index.json".length), name: folder });
  }
  if (file.endsWith(".config.json")) {
    const start = path.slice(0, -".config.json".length);
    return modelCases(
      start,
      name.slice(0, -".config.json".length),
      files.filter((other) => caseStem(other) === start),
      root,
    );
  }
  const start = caseStem(path);
  if (start !== undefined && !files.includes(`${start}.config.json`)) {
    return [failedCase(name.replace(/\.io\.safetensors$/, ""), `${start}.config.json does not exist`)];
  }
  return [];
}

/** `unet/sd1` of `unet/sd1.c0.io.safetensors`. */
const caseStem = (path: string): string | undefined => /^(.*)\.c\d+\.io\.safetensors$/.exec(path)?.[1];

const failedCase = (name: string, reason: string): Case => ({
  name,
  kind: "unknown",
  run: async () => Promise.reject(new WebldmError(reason)),
});

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries
      .filter((entry) => !entry.name.startsWith("."))
      .map(async (entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return filesBelow(path);
        return [path];
      }),
  );
  return found.flat();
}
