import { invariant } from "../core/invariant.js";
import { ClipTokenizer, type TokenizerOptions } from "../text/clipTokenizer.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { type Folder, readJson, readText } from "../weights/folder.js";

/**
 * CLIP's tokenizer from `vocab.json` and `merges.txt` below a path of a folder, or from `merges.txt` alone. `padding` takes
 * the place of the padding that the folder's files name, which is then not looked for in prompts.
 */
export async function readClipTokenizer(
  folder: Folder,
  path: string,
  padding?: number | Promise<number | undefined>,
): Promise<Tokenizer> {
  const at = (name: string) => (path === "" ? name : `${path}/${name}`);
  const [vocabulary, merges, config, special, padId] = await Promise.all([
    readText(folder, at("vocab.json")),
    readText(folder, at("merges.txt")),
    readJson<TokenizerOptions>(folder, at("tokenizer_config.json")),
    readJson<TokenizerOptions>(folder, at("special_tokens_map.json")),
    padding,
  ]);
  invariant(merges !== undefined, `${folder.name}: has no ${at("merges.txt")}`);
  const options = { ...config, ...special, ...(padId === undefined ? {} : { padId, pad_token: null }) };
  return vocabulary === undefined
    ? ClipTokenizer.fromMerges(merges, options)
    : ClipTokenizer.fromFiles(vocabulary, merges, options);
}

/** BERT's tokenizer from `vocab.txt` below a path of a folder. */
export async function readBertTokenizer(folder: Folder, path: string, length: number): Promise<Tokenizer> {
  const name = path === "" ? "vocab.txt" : `${path}/vocab.txt`;
  const vocabulary = await readText(folder, name);
  invariant(vocabulary !== undefined, `${folder.name}: has no ${name}`);
  const { WordPieceTokenizer } = await import("../text/wordPiece.js");
  return WordPieceTokenizer.fromVocabulary(vocabulary, { length });
}
