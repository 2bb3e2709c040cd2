// A published checkpoint as the folder that `webldm convert` makes of it is the same model as the single file.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { sizeOf } from "../../../src/core/shape.js";
import { toComponents } from "../../../src/pipeline/compvis/components.js";
import { translate } from "../../../src/pipeline/compvis/translate.js";
import { openCheckpoint } from "../../../src/pipeline/openCheckpoint.js";
import { fromTranslated } from "../../../src/pipeline/singleFile.js";
import { type Component, stemOf } from "../../../src/weights/component.js";
import type { Folder } from "../../../src/weights/folder.js";
import { folderFromPath } from "../../../src/weights/node.js";
import { type ByteSource, fromBytes } from "../../../src/weights/source.js";
import { firstStageShapes, under, unetShapes, unread } from "./original.js";
import { type Published, published } from "./published.js";

const files = (model: Published) =>
  unread(
    under("model.diffusion_model.", unetShapes(model.unet)),
    under("first_stage_model.", firstStageShapes(model.firstStage)),
    under("cond_stage_model.", model.stage ?? new Map()),
  );

/** A file of full size of which there is nothing but the header. */
function headerOnly(path: string, { tensors }: Component): ByteSource {
  let at = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { shape }] of tensors) {
    const end = at + 2 * sizeOf(shape);
    header[name] = { dtype: "F16", shape, data_offsets: [at, end] };
    at = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.byteLength);
  new DataView(bytes.buffer).setUint32(0, json.byteLength, true);
  bytes.set(json, 8);
  const known = fromBytes(bytes, path);
  return { name: path, size: bytes.byteLength + at, read: (begin, end) => known.read(begin, end) };
}

/** The folder that components are written to. */
function folderOf(components: readonly Component[], vocabulary: Readonly<Record<string, string>>): Folder {
  const entries = new Map<string, ByteSource>();
  const text = (path: string, content: string) => entries.set(path, fromBytes(new TextEncoder().encode(content), path));
  for (const component of components) {
    const at = (name: string) => (component.path === "" ? name : `${component.path}/${name}`);
    for (const [name, json] of Object.entries(component.json ?? {})) text(at(name), JSON.stringify(json));
    const weights = at(`${stemOf(component)}.safetensors`);
    if (component.tensors.size > 0) entries.set(weights, headerOnly(weights, component));
  }
  for (const [path, content] of Object.entries(vocabulary)) text(path, content);
  return { name: "converted", open: async (path) => entries.get(path) };
}

const tokenizer = await folderFromPath("weights/tokenizers");
const vocabulary = {
  "tokenizer/merges.txt": readFileSync("weights/tokenizers/clip/merges.txt", "utf8"),
  "tokenizer/vocab.txt": readFileSync("weights/tokenizers/bert/vocab.txt", "utf8"),
};

describe.each(Object.entries(published))("%s", (_name, model) => {
  it("loads from its folder as from its file", async () => {
    const translated = await translate(files(model));
    const single = await fromTranslated("file", translated, { tokenizer });
    const { conditioner } = translated;
    const pad_token = conditioner.kind === "clip" && conditioner.padWithZero ? "!" : "<|endoftext|>";
    const special = { "tokenizer/special_tokens_map.json": JSON.stringify({ pad_token }) };
    const folder = await openCheckpoint(folderOf(toComponents(translated), { ...vocabulary, ...special }));
    expect(folder.config).toEqual(single.config);
    // Stable Diffusion 2 fills its window with what is a word in a prompt.
    expect(folder.tokenizer?.encodePadded("a fox!")).toEqual(single.tokenizer?.encodePadded("a fox!"));
    expect(folder.defaults).toEqual(single.defaults);
    for (const [store, tensors] of Object.entries(single.stored)) {
      const shapes = (all: typeof tensors) => new Map([...all].map(([key, { shape }]) => [key, shape]));
      expect(shapes(folder.stored[store as "unet"]!)).toEqual(shapes(tensors));
    }
  });
});

it("samples a model of no known name by the same defaults", async () => {
  const known = await translate(files(published["Stable Diffusion 1"]!));
  const translated = { ...known, defaults: { side: 512 } };
  const single = await fromTranslated("file", translated, { tokenizer });
  const folder = await openCheckpoint(folderOf(toComponents(translated), vocabulary));
  expect(folder.defaults).toEqual(single.defaults);
});

it("names all that diffusers' pipelines take", async () => {
  const parts: Readonly<Record<string, readonly string[]>> = {
    "Stable Diffusion 1": ["vae", "text_encoder", "tokenizer", "unet", "scheduler"],
    "txt2img-1p4B": ["vqvae", "bert", "tokenizer", "unet", "scheduler"],
    bsr_sr: ["vqvae", "unet", "scheduler"],
  };
  for (const [name, expected] of Object.entries(parts)) {
    const components = toComponents(await translate(files(published[name]!)));
    const { _class_name, ...index } = components.at(-1)!.json!["model_index.json"] as Record<string, unknown>;
    expect(_class_name).toMatch(/^(StableDiffusion|LDM)\w*Pipeline$/);
    expect(Object.keys(index).sort()).toEqual([...expected].sort());
  }
});

it("loads a model of pixels, which has no first stage", async () => {
  const known = await translate(files(published["celeba256, ffhq256 or lsun_beds256"]!));
  const folder = await openCheckpoint(folderOf(toComponents({ ...known, firstStage: undefined }), {}));
  expect(folder.config.firstStage).toBeUndefined();
});
