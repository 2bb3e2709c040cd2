import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { toComponents } from "../pipeline/compvis/components.js";
import { isCompvis, translate } from "../pipeline/compvis/translate.js";
import type { Translated } from "../pipeline/compvis/types.js";
import { vocabularyOfMerges } from "../text/clipVocabulary.js";
import type { Component, Translation } from "../weights/component.js";
import { type ModelFlags, readConfig } from "./modelPath.js";
import { packageRoot } from "./packageRoot.js";

/**
 * Takes single files of the original code and of Stable Diffusion apart; others are left as they are. What had to be assumed
 * is said to `note`: a folder does not tell it any more.
 */
export async function translation(
  { config, ema }: Pick<ModelFlags, "config" | "ema">,
  note: (text: string) => void,
): Promise<Translation> {
  const original = config === undefined ? {} : { config: await readConfig(config) };
  return async ({ tensors, metadata }) => {
    if (!isCompvis(tensors)) return undefined;
    const translated = await translate(tensors, { metadata, ...original, ...(ema === undefined ? {} : { ema }) });
    for (const text of translated.notes) note(text);
    return [...toComponents(translated), ...(await tokenizerFiles(translated))];
  };
}

/** The vocabulary that single files lack and folders have. */
async function tokenizerFiles({ conditioner }: Translated): Promise<Component[]> {
  const vocabularies = join(packageRoot(), "weights", "tokenizers");
  const path = "tokenizer";
  const tensors = new Map();
  if (conditioner.kind === "bert") {
    return [{ path, tensors, text: { "vocab.txt": await readFile(join(vocabularies, "bert", "vocab.txt"), "utf8") } }];
  }
  if (conditioner.kind !== "clip") return [];
  const merges = await readFile(join(vocabularies, "clip", "merges.txt"), "utf8");
  const ends = { bos_token: "<|startoftext|>", eos_token: "<|endoftext|>", unk_token: "<|endoftext|>" };
  const special = { ...ends, pad_token: conditioner.padWithZero ? "!" : "<|endoftext|>" };
  return [
    {
      path,
      tensors,
      json: {
        "vocab.json": Object.fromEntries(vocabularyOfMerges(merges)),
        "special_tokens_map.json": special,
        "tokenizer_config.json": { ...special, model_max_length: 77, tokenizer_class: "CLIPTokenizer" },
      },
      text: { "merges.txt": merges },
    },
  ];
}
