import { invariant } from "../core/invariant.js";
import { normalizeText } from "./words.js";

/** A special token as the files state it: its text, or a record around it. */
export type TokenEntry =
  | string
  | {
      readonly content: string;
      /** Looked for in the normalised text, whatever its case, instead of in the text as given. Default false. */
      readonly normalized?: boolean;
    };

/**
 * What `tokenizer_config.json` and `special_tokens_map.json` say; other fields are ignored. Where both files exist the
 * second one wins, so pass `{ ...config, ...map }` (Stable Diffusion 2 pads with "!" only by that rule).
 */
export interface TokenizerOptions {
  /** Default `<|startoftext|>`. */
  readonly bos_token?: TokenEntry | null;
  /** Default `<|endoftext|>`. */
  readonly eos_token?: TokenEntry | null;
  /** Stands for bytes the vocabulary lacks. Default: the end token. */
  readonly unk_token?: TokenEntry | null;
  /** Default: the end token. */
  readonly pad_token?: TokenEntry | null;
  /** Tokens a padded prompt has, start and end included. Default 77; absurdly large placeholders are ignored. */
  readonly model_max_length?: number | null;
}

/** Ids of the special tokens, and the search for those written out in a prompt. */
export class SpecialTokens {
  readonly start: number;
  readonly end: number;
  readonly unknown: number;
  readonly pad: number;
  readonly all: ReadonlySet<number>;
  private readonly asGiven = new Map<string, number>();
  private readonly normalized = new Map<string, number>();
  private readonly asGivenPattern: RegExp | undefined;
  private readonly normalizedPattern: RegExp | undefined;

  /** Fails where the vocabulary lacks one of the tokens. */
  constructor(options: TokenizerOptions, vocabulary: ReadonlyMap<string, number>) {
    const end = options.eos_token ?? "<|endoftext|>";
    const register = (role: string, entry: TokenEntry): number => {
      const content = typeof entry === "string" ? entry : entry?.content;
      invariant(typeof content === "string" && content !== "", `${role}: expected the text of a token`);
      const id = vocabulary.get(content);
      invariant(id !== undefined, `vocabulary has no special token '${content}' (${role})`);
      if (typeof entry !== "string" && entry.normalized) this.normalized.set(normalizeText(content), id);
      else this.asGiven.set(content, id);
      return id;
    };
    this.start = register("bos_token", options.bos_token ?? "<|startoftext|>");
    this.end = register("eos_token", end);
    this.unknown = register("unk_token", options.unk_token ?? end);
    this.pad = register("pad_token", options.pad_token ?? end);
    this.all = new Set([this.start, this.end, this.unknown, this.pad]);
    this.asGivenPattern = patternOf(this.asGiven);
    this.normalizedPattern = patternOf(this.normalized);
  }

  /** Cuts a prompt at the special tokens written out in it: their ids, and the normalised text between them. */
  split(text: string): (string | number)[] {
    return cut(text, this.asGivenPattern, this.asGiven).flatMap((part) =>
      typeof part === "number" ? part : cut(normalizeText(part), this.normalizedPattern, this.normalized),
    );
  }
}

function cut(text: string, pattern: RegExp | undefined, ids: ReadonlyMap<string, number>): (string | number)[] {
  if (!pattern) return [text];
  // The pattern captures what it matches, so texts and tokens take turns.
  return text.split(pattern).map((part, i) => (i % 2 ? ids.get(part)! : part));
}

/** Matches any of the tokens, the longest where several fit. */
function patternOf(tokens: ReadonlyMap<string, number>): RegExp | undefined {
  if (tokens.size === 0) return undefined;
  const escaped = [...tokens.keys()]
    .sort((a, b) => b.length - a.length)
    .map((token) => token.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`(${escaped.join("|")})`, "u");
}
