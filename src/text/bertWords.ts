// The rules of the uncased tokenizer's normaliser in huggingface transformers (BertTokenizerFast). Surrogates and the
// categories of control, format and private-use characters vanish, line breaks and tabs excepted; unassigned ones stay.
const vanishing = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\ufffd]/gu;

// Chinese characters, and those shared with other scripts: each is a word.
const ideograph =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

// Every ASCII character that is neither letter nor digit counts as punctuation, and each stands alone.
const word = /[!-/:-@[-`{-~\p{P}]|[^!-/:-@[-`{-~\p{P}\p{White_Space}]+/gu;

/** Words as the WordPiece vocabulary knows them: lower case, without accents, punctuation apart. */
export function bertWords(text: string): string[] {
  const plain = text
    .replace(vanishing, "")
    .replace(ideograph, " $& ")
    .normalize("NFD")
    .replace(/\p{Mn}/gu, "")
    .replaceAll("Σ", "σ") // by itself, as the reference lowers characters: never a final one
    .toLowerCase();
  return plain.match(word) ?? [];
}
