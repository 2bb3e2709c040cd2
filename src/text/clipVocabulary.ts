import { invariant, WebldmError } from "../core/invariant.js";
import { byteSymbols } from "./byteSymbols.js";
import { PairTable } from "./pairTable.js";

/** Ends the symbols that end a word. */
export const wordEnd = "</w>";

/** The text of `vocab.json`: an object from token to id. */
export function parseVocabulary(json: string): Map<string, number> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new WebldmError(`vocab.json is not valid JSON: ${String(error).replace(/\s+/g, " ")}`);
  }
  invariant(
    typeof value === "object" && value !== null && !Array.isArray(value),
    "vocab.json: expected an object from token to id",
  );
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(value)) {
    invariant(
      Number.isInteger(id) && id >= 0,
      () => `vocab.json: the id of '${token}' must be an integer of at least 0, got ${JSON.stringify(id)}`,
    );
    vocabulary.set(token, id);
  }
  return vocabulary;
}

/**
 * CLIP's numbering: the bytes' symbols in order of their characters, the same at the end of a word, what each merge gives,
 * start and end.
 */
export function vocabularyOfMerges(merges: string): Map<string, number> {
  const bytes = [...byteSymbols].sort();
  const joined = mergesIn(merges).map(({ left, right }) => left + right);
  const tokens = [...bytes, ...bytes.map((symbol) => symbol + wordEnd), ...joined, "<|startoftext|>", "<|endoftext|>"];
  return new Map(tokens.map((token, id) => [token, id]));
}

/** Pairs of symbols in order of preference, with the line of the file that each stands on. */
function mergesIn(text: string): { readonly left: string; readonly right: string; readonly line: number }[] {
  return text.split(/\r?\n/).flatMap((content, i) => {
    if (content === "" || (i === 0 && content.includes("#version"))) return [];
    const [left, right, ...more] = content.split(" ");
    invariant(
      left && right && more.length === 0,
      () => `merges.txt line ${i + 1}: expected two symbols with a space between them, got '${content.slice(0, 80)}'`,
    );
    return [{ left, right, line: i + 1 }];
  });
}

/** The text of `merges.txt`: pairs of symbols in order of preference. */
export function parseMerges(text: string, vocabulary: ReadonlyMap<string, number>): PairTable {
  let largest = 0;
  for (const id of vocabulary.values()) largest = Math.max(largest, id);
  const table = new PairTable(largest + 1);
  const idOf = (token: string, line: number): number => {
    const id = vocabulary.get(token);
    invariant(id !== undefined, () => `merges.txt line ${line}: '${token}' is not in the vocabulary`);
    return id;
  };
  for (const { left, right, line } of mergesIn(text)) {
    table.add(idOf(left, line), idOf(right, line), idOf(left + right, line));
  }
  return table;
}
