import { invariant } from "../core/invariant.js";
import { bertWords } from "./bertWords.js";
import type { PaddedPrompt, Tokenizer } from "./tokenizer.js";

/** A token, and the text it stands for: of a word that the vocabulary lacks, the word. "##" marks that it continues a word. */
interface Piece {
  readonly id: number;
  readonly text: string;
}

export interface WordPieceOptions {
  /** Tokens of a padded prompt, [CLS] and [SEP] included. @defaultValue 77, the window of the LDM text model */
  readonly length?: number;
}

const continuation = "##";
const longestWord = 100; // in characters; longer ones are unknown
const specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;
const written = /(\[(?:PAD|UNK|CLS|SEP|MASK)\])/;

/**
 * WordPiece tokenizer of bert-base-uncased (Devlin et al. 2019), with the ids of the tokenizer in huggingface transformers:
 * what the text model of latent diffusion was trained on.
 */
export class WordPieceTokenizer implements Tokenizer {
  readonly length: number;
  private readonly special: Readonly<Record<(typeof specialTokens)[number], number>>;

  private constructor(
    private readonly ids: ReadonlyMap<string, number>,
    { length = 77 }: WordPieceOptions,
  ) {
    this.length = length;
    this.special = Object.fromEntries(
      specialTokens.map((token) => {
        const id = ids.get(token);
        invariant(id !== undefined, `vocab.txt: has no special token ${token}`);
        return [token, id];
      }),
    ) as Record<(typeof specialTokens)[number], number>;
  }

  /** Takes the text of `vocab.txt`: a token a line, numbered from 0. Fails where a special token is missing. */
  static fromVocabulary(vocabTxt: string, options: WordPieceOptions = {}): WordPieceTokenizer {
    const lines = vocabTxt.split(/\r?\n/);
    if (lines.at(-1) === "") lines.pop();
    return new WordPieceTokenizer(new Map(lines.map((token, id) => [token, id])), options);
  }

  /** Ids with [CLS] and [SEP], neither truncated nor padded. A special token written out becomes that token. */
  encode(text: string): number[] {
    return [this.special["[CLS]"], ...this.content(text).map(({ id }) => id), this.special["[SEP]"]];
  }

  /** Ids cut or padded to `length`; cut content keeps its [CLS] and [SEP]. */
  encodePadded(text: string, length = this.length): PaddedPrompt {
    invariant(
      Number.isInteger(length) && length >= 2,
      `prompt length: expected an integer of at least 2, got ${length}`,
    );
    const content = this.content(text);
    const kept = content.slice(0, length - 2).map(({ id }) => id);
    const ids = [this.special["[CLS]"], ...kept, this.special["[SEP]"]];
    while (ids.length < length) ids.push(this.special["[PAD]"]);
    return { ids, truncated: textOf(content.slice(length - 2)), tokens: content.length };
  }

  private content(text: string): Piece[] {
    // The pattern captures what it matches, so texts and special tokens take turns.
    return text.split(written).flatMap((part, i) => {
      if (i % 2) return { id: this.special[part as keyof typeof this.special], text: part };
      return bertWords(part).flatMap((word) => this.pieces(word));
    });
  }

  /** The longest pieces that the vocabulary has, from the left; one unknown token where nothing fits. */
  private pieces(word: string): Piece[] {
    const unknown = [{ id: this.special["[UNK]"], text: word }];
    const characters = [...word];
    if (characters.length > longestWord) return unknown;
    const pieces: Piece[] = [];
    for (let begin = 0, end = 0; begin < characters.length; begin = end) {
      const upTo = (last: number) => (begin > 0 ? continuation : "") + characters.slice(begin, last).join("");
      end = characters.length;
      while (end > begin && !this.ids.has(upTo(end))) end--;
      if (end === begin) return unknown;
      pieces.push({ id: this.ids.get(upTo(end))!, text: upTo(end) });
    }
    return pieces;
  }
}

/** One space between words: not the original spacing, case or accents. */
const textOf = (pieces: readonly Piece[]): string =>
  pieces
    .map(({ text }) => text)
    .join(" ")
    .replaceAll(` ${continuation}`, "")
    .replace(/^##(?=.)/, "");
