import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ClipTokenizer } from "../../src/text/clipTokenizer.js";
import { vocabularyOfMerges } from "../../src/text/clipVocabulary.js";
import { clipVocabulary } from "./clipVocabulary.js";

interface Golden {
  decode_examples: { ids: number[]; text: string }[];
  sd2_padding_example: { text: string; ids_77: number[] };
  cases: { text: string; ids: number[]; ids_77?: number[] | null }[];
}

const golden = JSON.parse(
  readFileSync(new URL("../golden/tokenizer/clip_cases.json", import.meta.url), "utf8"),
) as Golden;
const { vocab, merges } = clipVocabulary();
const clip = ClipTokenizer.fromFiles(vocab, merges);

describe("CLIP tokenizer", () => {
  it("has the full vocabulary to test with", () => {
    expect(Object.keys(JSON.parse(vocab))).toHaveLength(49408);
    expect(merges.trim().split("\n")).toHaveLength(48895);
  });

  it(`gives the reference ids of ${golden.cases.length} strings`, () => {
    expect(golden.cases).toHaveLength(200);
    for (const { text, ids } of golden.cases) expect(clip.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  it("pads and truncates as the reference", () => {
    let cut = 0;
    for (const { text, ids, ids_77 } of golden.cases) {
      const padded = clip.encodePadded(text);
      expect(padded.tokens).toBe(ids.length - 2);
      expect(padded.ids).toEqual(ids_77 ?? [...ids, ...new Array<number>(77 - ids.length).fill(49407)]);
      expect(padded.truncated).toBe(clip.decode(ids.slice(76, -1)));
      if (ids_77) cut++;
    }
    expect(cut).toBeGreaterThan(2);
    expect(clip.encodePadded("").ids).toEqual([49406, ...new Array<number>(76).fill(49407)]);
  });

  it("says what was cut off", () => {
    expect(clip.encodePadded("a photo of a Cat", 6)).toEqual({
      ids: [49406, 320, 1125, 539, 320, 49407],
      truncated: "cat",
      tokens: 5,
    });
    expect(clip.encodePadded("a photo", 4)).toEqual({ ids: [49406, 320, 1125, 49407], truncated: "", tokens: 2 });
    expect(clip.encodePadded("a photo", 2)).toEqual({ ids: [49406, 49407], truncated: "a photo", tokens: 2 });
    expect(() => clip.encodePadded("a", 1)).toThrow("prompt length: expected an integer of at least 2, got 1");
  });

  it("decodes as the reference", () => {
    for (const { ids, text } of golden.decode_examples) expect(clip.decode(ids)).toBe(text);
    expect(() => clip.decode([49408])).toThrow("token id 49408 is not in the vocabulary of 49408");
  });

  it("pads with another token where the files say so, and then takes it for special in the prompt", () => {
    const sd2 = ClipTokenizer.fromFiles(vocab, merges, { pad_token: "!", eos_token: { content: "<|endoftext|>" } });
    const { text, ids_77 } = golden.sd2_padding_example;
    expect(sd2.encodePadded(text).ids).toEqual(ids_77);
    expect(sd2.encode("wow!!")).toEqual([49406, clip.encode("wow")[1], 0, 0, 49407]);
  });

  it("pads with an id where that is asked for, which then is no special token in the prompt", () => {
    const openClip = ClipTokenizer.fromFiles(vocab, merges, { padId: 0 });
    const { ids } = openClip.encodePadded("wow!", 6);
    expect(ids).toEqual([49406, clip.encode("wow")[1], 256, 49407, 0, 0]);
    expect(() => ClipTokenizer.fromFiles(vocab, merges, { padId: 49408 })).toThrow(
      "padId: 49408 is not in the vocabulary of 49408",
    );
  });

  it("derives the vocabulary from the merges that travel with the repository", () => {
    const carried = readFileSync(new URL("../../weights/tokenizers/clip/merges.txt", import.meta.url), "utf8");
    expect(Object.fromEntries(vocabularyOfMerges(carried))).toEqual(JSON.parse(vocab));
    const alone = ClipTokenizer.fromMerges(carried, { padId: 0 });
    for (const { text, ids } of golden.cases) expect(alone.encode(text)).toEqual(ids);
    expect(alone.encodePadded("", 3).ids).toEqual([49406, 49407, 0]);
  });

  it("finds special tokens in the text as given, or in the normalised text", () => {
    const options = { bos_token: { content: "<|startoftext|>", normalized: true } };
    const normalized = ClipTokenizer.fromFiles(vocab, merges, options);
    expect(normalized.encode("a <|STARTofTEXT|> b")).toEqual([49406, 320, 49406, 321, 49407]);
    expect(clip.encode("a <|STARTofTEXT|> b")).toHaveLength(11);
    expect(clip.encode("a<|startoftext|>b")).toEqual([49406, 320, 49406, 321, 49407]);
  });

  it("takes the length from the options unless it is a placeholder", () => {
    const ofLength = (model_max_length: number | null) => ClipTokenizer.fromFiles(vocab, merges, { model_max_length });
    expect(ofLength(32).encodePadded("a").ids).toHaveLength(32);
    expect(ofLength(1e30).length).toBe(77);
    expect(ofLength(null).length).toBe(77);
  });

  it("tokenises 10,000 characters quickly, words of 10,000 letters and all", () => {
    const mixed = Array.from({ length: 2500 }, (_, i) => `w${(i * 7919).toString(36)}`)
      .join(" ")
      .slice(0, 10000);
    for (const text of ["a".repeat(10000), "ab".repeat(5000), "猫".repeat(10000), "!?".repeat(5000), mixed]) {
      // Far more than it takes, and the best of three, because other processes may hold the machine: what is looked for is
      // time that grows with the square of a word. Long words are not cached; the short ones get a fresh tokenizer.
      const times = [0, 1, 2].map(() => {
        const tokenizer = text === mixed ? ClipTokenizer.fromFiles(vocab, merges) : clip;
        const start = performance.now();
        tokenizer.encode(text);
        return performance.now() - start;
      });
      expect(Math.min(...times), text.slice(0, 8)).toBeLessThan(1000);
    }
  });

  it("survives lone surrogates and every byte", () => {
    expect(clip.decode(clip.encode("a\ud800b"))).toBe("a \ufffd b");
    const all = String.fromCodePoint(...Array.from({ length: 0x600 }, (_, i) => i));
    expect(clip.encode(all).every((id) => id >= 0 && id < 49408)).toBe(true);
  });
});

describe("a small vocabulary", () => {
  const small = JSON.stringify({ a: 0, b: 1, "b</w>": 2, "ab</w>": 3, "<|startoftext|>": 4, "<|endoftext|>": 5 });
  const from = (vocabulary: string, lines: string) => () => ClipTokenizer.fromFiles(vocabulary, lines);

  it("uses the unknown token for bytes it lacks", () => {
    const tokenizer = ClipTokenizer.fromFiles(small, "#version: 0.2\r\na b</w>\r\n");
    expect(tokenizer.encode("AB b a c")).toEqual([4, 3, 2, 5, 5, 5]);
    expect(tokenizer.decode([4, 3, 2, 5])).toBe("ab b");
  });

  it("refuses files that are not what they should be", () => {
    expect(from('{"a": 0,\n}', "")).toThrow(/^vocab\.json is not valid JSON: .*$/);
    expect(from("[]", "")).toThrow("vocab.json: expected an object from token to id");
    expect(from('{"a": 0.5}', "")).toThrow("vocab.json: the id of 'a' must be an integer of at least 0, got 0.5");
    expect(from('{"a": "0"}', "")).toThrow(`got "0"`);
    expect(from('{"a": -1}', "")).toThrow("got -1");
    expect(from('{"a": 0}', "")).toThrow("vocabulary has no special token '<|startoftext|>' (bos_token)");
    expect(from('{"a": 99999999999, "<|startoftext|>": 1, "<|endoftext|>": 2}', "")).toThrow("must be below 2^26");
    expect(() => ClipTokenizer.fromFiles(small, "", { pad_token: "[PAD]" })).toThrow("'[PAD]' (pad_token)");
    expect(from(small, "#version: 0.2\na b</w>\na\n")).toThrow(
      "merges.txt line 3: expected two symbols with a space between them, got 'a'",
    );
    expect(from(small, "a b c")).toThrow("merges.txt line 1: expected two symbols");
    expect(from(small, "a b</w>\na c")).toThrow("merges.txt line 2: 'c' is not in the vocabulary");
    expect(from(small, "b a")).toThrow("merges.txt line 1: 'ba' is not in the vocabulary");
  });
});

const sticker = new URL("../../weights/sticker/tokenizer/", import.meta.url);

describe.skipIf(!existsSync(sticker))("the sticker vocabulary", () => {
  const read = (name: string) => readFileSync(new URL(name, sticker), "utf8");
  const open = () =>
    ClipTokenizer.fromFiles(read("vocab.json"), read("merges.txt"), {
      ...JSON.parse(read("tokenizer_config.json")),
      ...JSON.parse(read("special_tokens_map.json")),
    });

  it("has its own ids and context length", () => {
    const { ids, tokens } = open().encodePadded("");
    expect(ids).toEqual([3070, ...new Array<number>(31).fill(3071)]);
    expect(tokens).toBe(0);
  });

  it("gives the reference ids of the prompts", () => {
    const reference = new URL("../golden/sticker/reference.json", import.meta.url);
    const { prompts } = JSON.parse(readFileSync(reference, "utf8")) as {
      prompts: { prompt: string; input_ids: number[] }[];
    };
    expect(prompts.length).toBeGreaterThan(0);
    for (const { prompt, input_ids } of prompts) expect(open().encodePadded(prompt).ids).toEqual(input_ids);
  });
});
