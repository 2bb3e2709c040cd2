import { invariant, WebldmError } from "../core/invariant.js";
import { byteSymbols, bytesOfSymbols } from "./byteSymbols.js";
import { PairTable } from "./pairTable.js";
import { SpecialTokens, type TokenizerOptions } from "./specialTokens.js";
import { splitWords } from "./words.js";

export type { TokenEntry, TokenizerOptions } from "./specialTokens.js";

/** A prompt as the text encoder takes it. */
export interface PaddedPrompt {
  /** Start token, content, end token, padding: exactly the length that was asked for. */
  readonly ids: number[];
  /** Text of the content that did not fit, "" where everything did. */
  readonly truncated: string;
  /** Content tokens before anything was cut, start and end not counted. */
  readonly tokens: number;
}

const wordEnd = "</w>";
const defaultLength = 77;
const longestCachedWord = 64;
const cachedWords = 16384;

/**
 * Byte-pair tokenizer of CLIP, with the ids of the tokenizer in huggingface transformers. (The one in the CLIP
 * repository first repairs mis-encoded text and resolves HTML entities; this one, like every diffusers pipeline, does not.)
 */
export class ClipTokenizer {
  /** Tokens of a padded prompt unless stated otherwise. */
  readonly length: number;
  private readonly byteIds: readonly number[];
  private readonly lastByteIds: readonly number[];
  private readonly cache = new Map<string, readonly number[]>();
  private readonly encoder = new TextEncoder();

  private constructor(
    private readonly symbols: ReadonlyMap<number, string>,
    vocabulary: ReadonlyMap<string, number>,
    private readonly pairs: PairTable,
    private readonly special: SpecialTokens,
    length: number | null | undefined,
  ) {
    this.length = length && length < 1e6 ? length : defaultLength;
    this.byteIds = byteSymbols.map((symbol) => vocabulary.get(symbol) ?? special.unknown);
    this.lastByteIds = byteSymbols.map((symbol) => vocabulary.get(symbol + wordEnd) ?? special.unknown);
  }

  /**
   * Takes the text of `vocab.json` and `merges.txt`. Fails, naming the entry or line, where one is malformed or a special
   * token is missing.
   */
  static fromFiles(vocabJson: string, merges: string, options: TokenizerOptions = {}): ClipTokenizer {
    const vocabulary = parseVocabulary(vocabJson);
    const symbols = new Map([...vocabulary].map(([token, id]) => [id, token]));
    const special = new SpecialTokens(options, vocabulary);
    return new ClipTokenizer(symbols, vocabulary, parseMerges(merges, vocabulary), special, options.model_max_length);
  }

  /** Ids with start and end tokens, neither truncated nor padded. A special token written out becomes that token. */
  encode(text: string): number[] {
    return [this.special.start, ...this.content(text), this.special.end];
  }

  /** Ids cut or padded to `length`; cut content keeps its start and end tokens. */
  encodePadded(text: string, length = this.length): PaddedPrompt {
    invariant(
      Number.isInteger(length) && length >= 2,
      `prompt length: expected an integer of at least 2, got ${length}`,
    );
    const content = this.content(text);
    const ids = [this.special.start, ...content.slice(0, length - 2), this.special.end];
    while (ids.length < length) ids.push(this.special.pad);
    return { ids, truncated: this.decode(content.slice(length - 2)), tokens: content.length };
  }

  /** Text of ids without the special tokens, one space between words: not the original spacing or case. */
  decode(ids: readonly number[]): string {
    const symbols = ids.map((id) => {
      const symbol = this.symbols.get(id);
      invariant(symbol !== undefined, `token id ${id} is not in the vocabulary of ${this.symbols.size}`);
      return this.special.all.has(id) ? "" : symbol;
    });
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytesOfSymbols(symbols.join("")));
    return text.replaceAll(wordEnd, " ").trim();
  }

  private content(text: string): number[] {
    const ids: number[] = [];
    for (const part of this.special.split(text)) {
      if (typeof part === "number") ids.push(part);
      else for (const word of splitWords(part)) for (const id of this.word(word)) ids.push(id);
    }
    return ids;
  }

  private word(word: string): readonly number[] {
    const known = this.cache.get(word);
    if (known) return known;
    const bytes = this.encoder.encode(word);
    const last = bytes.length - 1;
    const ids = this.pairs.merge(Array.from(bytes, (byte, i) => (i === last ? this.lastByteIds : this.byteIds)[byte]!));
    if (word.length <= longestCachedWord) {
      if (this.cache.size >= cachedWords) this.cache.clear();
      this.cache.set(word, ids);
    }
    return ids;
  }
}

function parseVocabulary(json: string): Map<string, number> {
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

function parseMerges(text: string, vocabulary: ReadonlyMap<string, number>): PairTable {
  let largest = 0;
  for (const id of vocabulary.values()) largest = Math.max(largest, id);
  const table = new PairTable(largest + 1);
  const idOf = (token: string, line: number): number => {
    const id = vocabulary.get(token);
    invariant(id !== undefined, () => `merges.txt line ${line}: '${token}' is not in the vocabulary`);
    return id;
  };
  text.split(/\r?\n/).forEach((line, i) => {
    if (line === "" || (i === 0 && line.includes("#version"))) return;
    const [left, right, ...more] = line.split(" ");
    invariant(
      left && right && more.length === 0,
      () => `merges.txt line ${i + 1}: expected two symbols with a space between them, got '${line.slice(0, 80)}'`,
    );
    table.add(idOf(left, i + 1), idOf(right, i + 1), idOf(left + right, i + 1));
  });
  return table;
}
