import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openComponent } from "../../src/weights/checkpoint.js";
import { type Folder, folderFromFiles } from "../../src/weights/folder.js";
import { folderFromPath } from "../../src/weights/node.js";
import { streamTensors } from "../../src/weights/stream.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { failure } from "./tiny.js";
import { torchZip } from "./torchBytes.js";

const shard = (...names: string[]): Blob =>
  new Blob([writeSafetensors(names.map((name) => ({ name, dtype: "U8", shape: [1], bytes: Uint8Array.of(1) })))]);
const json = (value: unknown): Blob => new Blob([JSON.stringify(value)]);
const folder = (files: Record<string, Blob>): Folder => folderFromFiles(new Map(Object.entries(files)));
const namesOf = async (files: Record<string, Blob>, component = "unet") =>
  [...(await openComponent(folder(files), component)).keys()].sort();

const index = "unet/diffusion_pytorch_model.safetensors.index.json";

describe("a component of a model folder", () => {
  it("is found under each of its names", async () => {
    for (const name of [
      "diffusion_pytorch_model.safetensors",
      "model.safetensors",
      "diffusion_pytorch_model.fp16.safetensors",
      "model.fp16.safetensors",
    ]) {
      expect(await namesOf({ [`unet/${name}`]: shard("a") }), name).toEqual(["a"]);
      expect(await namesOf({ [name]: shard("a") }, ""), name).toEqual(["a"]);
    }
    for (const name of [
      "diffusion_pytorch_model.safetensors.index.json",
      "model.safetensors.index.json",
      "diffusion_pytorch_model.safetensors.index.fp16.json",
      "model.safetensors.fp16.index.json",
    ]) {
      const files = { [`unet/${name}`]: json({ weight_map: { a: "1.st", b: "2.st" } }) };
      expect(await namesOf({ ...files, "unet/1.st": shard("a"), "unet/2.st": shard("b") }), name).toEqual(["a", "b"]);
    }
  });

  const bin = (...names: string[]): Blob =>
    new Blob([
      torchZip(Object.fromEntries(names.map((name) => [name, { dtype: "U8", shape: [1], bytes: Uint8Array.of(1) }]))),
    ]);

  it("is found in PyTorch's files, where there are no others", async () => {
    for (const name of ["diffusion_pytorch_model.bin", "pytorch_model.bin", "pytorch_model.fp16.bin"]) {
      expect(await namesOf({ [`unet/${name}`]: bin("a") }), name).toEqual(["a"]);
      expect(await namesOf({ [`unet/${name}`]: bin("a"), "unet/model.fp16.safetensors": shard("b") })).toEqual(["b"]);
    }
    for (const name of ["pytorch_model.bin.index.json", "diffusion_pytorch_model.bin.index.fp16.json"]) {
      const files = { [`unet/${name}`]: json({ weight_map: { a: "1.bin", b: "2.bin" } }) };
      expect(await namesOf({ ...files, "unet/1.bin": bin("a"), "unet/2.bin": bin("b") }), name).toEqual(["a", "b"]);
    }
  });

  it("is taken in full precision where there is a choice", async () => {
    const files = { "unet/model.fp16.safetensors": shard("half"), "unet/model.safetensors": shard("full") };
    expect(await namesOf(files)).toEqual(["full"]);
  });

  it("has the tensors that its index forgot, and the index decides between two", async () => {
    const tensors = await openComponent(
      folder({
        [index]: json({ metadata: { total_size: 3 }, weight_map: { a: "2.st", b: "1.st" } }),
        "unet/1.st": shard("a", "b", "c"),
        "unet/2.st": shard("a"),
      }),
      "unet",
    );
    expect([...tensors.keys()].sort()).toEqual(["a", "b", "c"]);
    expect(tensors.get("a")!.source.name).toBe("files/unet/2.st");
  });

  it("is missed with a list of what was tried", async () => {
    const error = await failure(openComponent(folder({ "vae/model.safetensors": shard("a") }), "unet"));
    expect(error).toMatch(/^WebldmError: model folder 'files' has no weights of 'unet'; tried /);
    expect(error).toContain("diffusion_pytorch_model.safetensors, model.safetensors.index.json, model.safetensors,");
    expect(error).toContain("model.fp16.safetensors");
    expect(error).toMatch(/pytorch_model\.fp16\.bin$/);
  });

  it("must have the files and tensors of its index", async () => {
    const where = `WebldmError: files: index '${index}'`;
    const open = (value: unknown, files: Record<string, Blob> = {}) =>
      failure(openComponent(folder({ [index]: json(value), ...files }), "unet"));
    expect(await open({ weight_map: { a: "1.st" } })).toBe(`${where} names the file '1.st', which does not exist`);
    expect(await open({ weight_map: { a: "1.st" } }, { "unet/1.st": shard("b") })).toBe(
      `${where} places tensor 'a' in '1.st', which lacks it`,
    );
    expect(await open({ weight_map: { a: 1 } })).toBe(`${where}: expected a file name for tensor 'a'`);
    expect(await open({})).toBe(`${where}: expected an object 'weight_map' from tensor to file`);
    expect(await open(null)).toContain("expected an object 'weight_map'");
    expect(await open([])).toContain("expected an object 'weight_map'");
    expect(await open({ weight_map: { a: "../../1.st" } })).toContain("expected a relative path inside");
    expect(await open({ weight_map: { a: "1.st" } }, { "unet/1.st": new Blob(["x"]) })).toBe(
      "WebldmError: files/unet/1.st: neither safetensors (HeaderTooSmall: expected at least 8 bytes, got 1) nor a checkpoint of torch.save (neither zip archive nor pickle)",
    );
    expect(await failure(openComponent(folder({ [index]: new Blob(["{"]) }), "unet"))).toContain("is not valid JSON");
  });
});

const sticker = new URL("../../weights/sticker", import.meta.url).pathname;
const hasSticker = existsSync(`${sticker}/unet`);
if (!hasSticker) console.log("skipped: the sticker model, because weights/sticker is absent");

describe.skipIf(!hasSticker)("the sticker model", () => {
  it.each(["unet", "vae", "text_encoder"])("streams its %s", async (component) => {
    const tensors = await openComponent(await folderFromPath(sticker), component);
    expect(tensors.size).toBeGreaterThan(30);
    const seen = new Set<string>();
    let total = 0;
    for await (const { tensor, bytes, last } of streamTensors(tensors.values(), { pieceBytes: 2 ** 20 })) {
      total += bytes.length;
      if (last) seen.add(tensor.name);
    }
    expect(seen.size).toBe(tensors.size);
    expect(total).toBe([...tensors.values()].reduce((sum, t) => sum + t.end - t.begin, 0));
  });

  it("has its unet in two files", async () => {
    const tensors = await openComponent(await folderFromPath(sticker), "unet");
    expect(new Set([...tensors.values()].map((t) => t.source)).size).toBe(2);
    expect(tensors.get("conv_in.weight")).toMatchObject({ dtype: "F16", shape: [128, 8, 3, 3] });
  });
});
