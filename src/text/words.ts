// JavaScript's \s takes U+FEFF for white space and U+0085 not; the reference follows the Unicode property.
const whiteSpace = /\p{White_Space}+/gu;
const word = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;

/**
 * Text as the tokenizer sees it: composed (NFC), runs of white space as one space, lower case. The reference lowers one
 * character at a time, so a capital sigma never becomes a final one, as it would in `toLowerCase`.
 */
export function normalizeText(text: string): string {
  return text.normalize("NFC").replace(whiteSpace, " ").replaceAll("Σ", "σ").toLowerCase();
}

/** Words of normalised text: contractions, runs of letters, single digits, runs of other visible characters. */
export function splitWords(text: string): string[] {
  return text.match(word) ?? [];
}
