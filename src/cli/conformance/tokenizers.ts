import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UnsupportedError } from "../../core/invariant.js";
import { ClipTokenizer } from "../../text/clipTokenizer.js";
import { WordPieceTokenizer } from "../../text/wordPiece.js";
import type { Case } from "./case.js";
import { type Check, compareExactly } from "./compare.js";
import { listIn } from "./pythonJson.js";
import { list } from "./samplers.js";

interface ClipEntry {
  readonly text: string;
  readonly ids: readonly number[];
  readonly ids_77?: readonly number[] | null;
}

interface BertFile {
  readonly padding_example?: { readonly text: string; readonly ids_77: readonly number[] };
  readonly truncation_example?: { readonly text: string; readonly ids_77: readonly number[] };
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

/** Reads once, when it is first needed. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= read();
    return reading;
  };
}

/** `clip_cases.json`: the ids of one string each. */
export function clipTokenizerCases(path: string, json: unknown, prefix: string): Case[] {
  const folder = dirname(path);
  const tokenizer = once(async () => {
    const found = await clipTokenizerIn(folder);
    if (!found) throw new UnsupportedError(`${folder} holds no vocab.json and merges.txt`);
    return found;
  });
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

/** `bert_cases.json`: the ids of one string each; the first case also checks the examples of padding and truncation. */
export function bertTokenizerCases(path: string, json: unknown, prefix: string): Case[] {
  const vocabulary = join(dirname(path), "bert_vocab.txt");
  const tokenizer = once(async () => {
    if (!existsSync(vocabulary)) throw new UnsupportedError(`${vocabulary} does not exist`);
    return WordPieceTokenizer.fromVocabulary(await readFile(vocabulary, "utf8"));
  });
  const { padding_example: padding, truncation_example: truncation } = json as BertFile;
  return casesOf(json, path).map((entry, i) => ({
    name: `${prefix}/${padded(i)}`,
    kind: "tokenizer",
    run: async () => {
      const { text, ids } = entry as ClipEntry;
      const bert = await tokenizer();
      const examples = i === 0 ? [padding, truncation].filter((example) => example !== undefined) : [];
      return [
        compareExactly("ids", list(bert.encode(text)), list(ids)),
        ...examples.map((example) =>
          compareExactly("ids_77", list(bert.encodePadded(example.text, 77).ids), list(example.ids_77)),
        ),
      ];
    },
  }));
}
