import { invariant } from "../core/invariant.js";
import { byteSymbols, bytesOfSymbols } from "./byteSymbols.js";
import { parseMerges, parseVocabulary, vocabularyOfMerges, wordEnd } from "./clipVocabulary.js";
import type { PairTable } from "./pairTable.js";
import { SpecialTokens, type TokenizerOptions } from "./specialTokens.js";
import type { PaddedPrompt, Tokenizer } from "./tokenizer.js";
import { splitWords } from "./words.js";

export type { TokenEntry, TokenizerOptions } from "./specialTokens.js";

export interface ClipTokenizerOptions extends TokenizerOptions {
  /**
   * Fills a prompt after its end token, instead of `pad_token`: 0 as OpenCLIP does. Unlike the text of `pad_token`, it is not
   * looked for in prompts.
   */
  readonly padId?: number;
}

const defaultLength = 77;
const longestCachedWord = 64;
const cachedWords = 16384;

/**
 * Byte-pair tokenizer of CLIP, with the ids of the tokenizer in huggingface transformers. (The one in the CLIP
 * repository first repairs mis-encoded text and resolves HTML entities; this one, like every diffusers pipeline, does not.)
 */
export class ClipTokenizer implements Tokenizer {
  /** Tokens of a padded prompt unless stated otherwise. */
  readonly length: number;
  private readonly padId: number;
  private readonly byteIds: readonly number[];
  private readonly lastByteIds: readonly number[];
  private readonly cache = new Map<string, readonly number[]>();
  private readonly encoder = new TextEncoder();

  private constructor(
    private readonly symbols: ReadonlyMap<number, string>,
    vocabulary: ReadonlyMap<string, number>,
    private readonly pairs: PairTable,
    private readonly special: SpecialTokens,
    { model_max_length: length, padId }: ClipTokenizerOptions,
  ) {
    this.padId = padId ?? special.pad;
    invariant(symbols.has(this.padId), () => `padId: ${this.padId} is not in the vocabulary of ${symbols.size}`);
    this.length = length && length < 1e6 ? length : defaultLength;
    this.byteIds = byteSymbols.map((symbol) => vocabulary.get(symbol) ?? special.unknown);
    this.lastByteIds = byteSymbols.map((symbol) => vocabulary.get(symbol + wordEnd) ?? special.unknown);
  }

  /**
   * Takes the text of `vocab.json` and `merges.txt`. Fails, naming the entry or line, where one is malformed or a special
   * token is missing.
   */
  static fromFiles(vocabJson: string, merges: string, options: ClipTokenizerOptions = {}): ClipTokenizer {
    return ClipTokenizer.from(parseVocabulary(vocabJson), merges, options);
  }

  /** Takes the text of `merges.txt` alone: CLIP's vocabulary follows from it. Fails, naming the line, where one is malformed. */
  static fromMerges(merges: string, options: ClipTokenizerOptions = {}): ClipTokenizer {
    return ClipTokenizer.from(vocabularyOfMerges(merges), merges, options);
  }

  private static from(vocabulary: ReadonlyMap<string, number>, merges: string, options: ClipTokenizerOptions) {
    const symbols = new Map([...vocabulary].map(([token, id]) => [id, token]));
    const special = new SpecialTokens(options, vocabulary);
    return new ClipTokenizer(symbols, vocabulary, parseMerges(merges, vocabulary), special, options);
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
    while (ids.length < length) ids.push(this.padId);
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
