// Published autoencoders keep old names for their attention, some of them as 1 x 1 convolutions.
import { expect, it } from "vitest";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { openComponent } from "../../src/weights/checkpoint.js";
import { type Folder, folderFromFiles } from "../../src/weights/folder.js";
import { folderFromPath } from "../../src/weights/node.js";
import { fromBytes } from "../../src/weights/source.js";
import { writeSafetensors } from "../../src/weights/writer.js";

const old: Readonly<Record<string, string>> = { to_q: "query", to_k: "key", to_v: "value", "to_out.0": "proj_attn" };
const path = "vae/diffusion_pytorch_model.safetensors";

it("loads an autoencoder under its old names", async () => {
  const folder = await folderFromPath("weights/sticker");
  const tensors = await openComponent(folder, "vae");
  let renamed = 0;
  const written = await Promise.all(
    [...tensors.values()].map(async ({ name, dtype, shape, source, begin, end }) => {
      const before = name.replace(/(attentions\.0\.)(to_[qkv]|to_out\.0)/, (_all, head: string, part: string) => {
        renamed++;
        return head + old[part];
      });
      const convolved = before !== name && name.endsWith(".weight") ? [...shape, 1, 1] : shape;
      return { name: before, dtype, shape: convolved, bytes: await source.read(begin, end) };
    }),
  );
  expect(renamed).toBe(16);
  const bytes = writeSafetensors(written);
  const patched: Folder = {
    name: "patched",
    open: (file) => (file === path ? Promise.resolve(fromBytes(bytes, path)) : folder.open(file)),
  };
  const { stored, config } = await openCheckpoint(patched);
  expect([...stored.vae!.keys()].sort()).toEqual([...tensors.keys()].sort());
  expect(config.scheduler.clipRange).toBeUndefined();
});

it("names the file that a folder lacks", async () => {
  await expect(openCheckpoint(folderFromFiles(new Map([["readme.txt", new Blob(["x"])]])))).rejects.toThrow(
    /has no model_index\.json; expected a model in diffusers layout/,
  );
});
