import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WordPieceTokenizer } from "../../src/text/wordPiece.js";

// Ids from BertTokenizer of huggingface transformers with the vocabulary of bert-base-uncased: 200 strings, then an
// example of padding and one of truncation to 77 tokens.
const lines = readFileSync(new URL("bertCases.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n");
const all = lines.map((line) => JSON.parse(line) as [text: string, ids: number[]]);
const [cases, examples] = [all.slice(0, -2), all.slice(-2)];
const vocabulary = readFileSync(new URL("../../weights/tokenizers/bert/vocab.txt", import.meta.url), "utf8");
const bert = WordPieceTokenizer.fromVocabulary(vocabulary);

describe("WordPiece tokenizer", () => {
  it("gives the reference ids of 200 strings", () => {
    expect(cases).toHaveLength(200);
    for (const [text, ids] of cases) expect(bert.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it("pads and truncates as the reference", () => {
    for (const [text, ids] of examples) expect(bert.encodePadded(text).ids).toEqual(ids);
    expect(bert.encodePadded("").ids).toEqual([101, 102, ...new Array<number>(75).fill(0)]);
  });

  it("says what was cut off, word by word, unknown words too", () => {
    expect(bert.encodePadded("a photo of a Café ☕ kebabs", 6)).toEqual({
      ids: [101, 1037, 6302, 1997, 1037, 102],
      truncated: "cafe ☕ kebabs",
      tokens: 9, // "kebabs" is three
    });
    expect(bert.encodePadded("kebabs!", 3).truncated).toBe("babs !");
    expect(bert.encodePadded("a photo", 4)).toEqual({ ids: [101, 1037, 6302, 102], truncated: "", tokens: 2 });
    expect(() => bert.encodePadded("a", 1)).toThrow("prompt length: expected an integer of at least 2, got 1");
  });

  it("takes special tokens that are written out, in capitals only", () => {
    expect(bert.encode("a[SEP]b [MASK]")).toEqual([101, 1037, 102, 1038, 103, 102]);
    expect(bert.encode("[sep]")).toEqual([101, 1031, 19802, 1033, 102]);
  });

  it("knows no word of more than 100 characters", () => {
    expect(bert.encode("a".repeat(101))).toEqual([101, 100, 102]);
    expect(bert.encode("a".repeat(100)).length).toBeGreaterThan(3);
    expect(bert.encode("😀".repeat(100))).toEqual([101, 100, 102]);
  });

  it("drops invisible characters and lone surrogates", () => {
    expect(bert.encode("c\u0000a\u200bt\ue000\ud800\ufffd")).toEqual([101, 4937, 102]);
    expect(bert.encode("cat\tcat\ncat")).toEqual([101, 4937, 4937, 4937, 102]);
  });

  it("tokenises 10,000 characters quickly", () => {
    for (const text of ["a".repeat(10000), "ab ".repeat(3333), "猫".repeat(10000), "!?".repeat(5000)]) {
      const times = [0, 1, 2].map(() => {
        const start = performance.now();
        bert.encode(text);
        return performance.now() - start;
      });
      expect(Math.min(...times), text.slice(0, 8)).toBeLessThan(100);
    }
  });
});

describe("a small vocabulary", () => {
  const small = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncat\n##s\ncats\n##nip\nc\n";

  it("is matched greedily, and numbered by line", () => {
    const tokenizer = WordPieceTokenizer.fromVocabulary(small.replaceAll("\n", "\r\n"), { length: 6 });
    expect(tokenizer.encode("cats catnip cat cs dog catx")).toEqual([2, 7, 5, 8, 5, 9, 6, 1, 1, 3]);
    expect(tokenizer.encodePadded("cat").ids).toEqual([2, 5, 3, 0, 0, 0]);
  });

  it("needs the special tokens", () => {
    expect(() => WordPieceTokenizer.fromVocabulary("[PAD]\n[UNK]\n[CLS]\ncat")).toThrow(
      "vocab.txt: has no special token [SEP]",
    );
  });
});
