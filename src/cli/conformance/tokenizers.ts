import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UnsupportedError } from "../../core/invariant.js";
import { ClipTokenizer } from "../../text/clipTokenizer.js";
import type { Case } from "./case.js";
import { type Check, compareExactly } from "./compare.js";
import { unsupportedCase } from "./dtypes.js";
import { listIn } from "./pythonJson.js";
import { list } from "./samplers.js";

interface ClipEntry {
  readonly text: string;
  readonly ids: readonly number[];
  readonly ids_77?: readonly number[] | null;
}

const padded = (i: number): string => String(i).padStart(3, "0");
const casesOf = (json: unknown, path: string): readonly unknown[] =>
  listIn((json as { cases?: unknown } | null)?.cases, path);

/** The vocabulary beside a file of cases; undefined where there is none. */
export async function clipTokenizerIn(folder: string): Promise<ClipTokenizer | undefined> {
  const [vocabulary, merges] = [join(folder, "vocab.json"), join(folder, "merges.txt")];
  if (!existsSync(vocabulary) || !existsSync(merges)) return undefined;
  return ClipTokenizer.fromFiles(await readFile(vocabulary, "utf8"), await readFile(merges, "utf8"));
}

/** `clip_cases.json`: the ids of one string each. */
export function clipTokenizerCases(path: string, json: unknown, prefix: string): Case[] {
  const folder = dirname(path);
  let reading: Promise<ClipTokenizer | undefined> | undefined;
  const tokenizer = async (): Promise<ClipTokenizer> => {
    reading ??= clipTokenizerIn(folder);
    const found = await reading;
    if (!found) throw new UnsupportedError(`${folder} holds no vocab.json and merges.txt`);
    return found;
  };
  return casesOf(json, path).map((entry, i) => ({
    name: `${prefix}/${padded(i)}`,
    kind: "tokenizer",
    run: async () => {
      const { text, ids, ids_77: cut } = entry as ClipEntry;
      const clip = await tokenizer();
      const checks: Check[] = [compareExactly("ids", list(clip.encode(text)), list(ids))];
      if (cut) checks.push(compareExactly("ids_77", list(clip.encodePadded(text).ids), list(cut)));
      return checks;
    },
  }));
}

/** `bert_cases.json`. */
export const bertTokenizerCases = (path: string, json: unknown, prefix: string): Case[] =>
  casesOf(json, path).map((_, i) =>
    unsupportedCase(`${prefix}/${padded(i)}`, "tokenizer", "the WordPiece tokenizer is not supported yet"),
  );
