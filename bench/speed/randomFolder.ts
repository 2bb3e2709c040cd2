// A model in diffusers layout with random weights, as files that exist only while they are read.
import { readFileSync } from "node:fs";
import { storeOf } from "../../src/pipeline/components.js";
import type { ModelConfig } from "../../src/pipeline/modelConfig.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { streamSafetensors } from "../../src/weights/writer.js";
import { type ConfigFiles, parseConfigFiles } from "../configs.js";
import { parts, randomBytes, randomSlice, tensorsOf } from "./randomModel.js";

export interface VirtualFile {
  readonly size: number;
  read(begin: number, end: number): Uint8Array;
}

const ofBytes = (bytes: Uint8Array): VirtualFile => ({
  size: bytes.length,
  read: (begin, end) => bytes.subarray(begin, end),
});
const ofJson = (json: unknown) => ofBytes(new TextEncoder().encode(JSON.stringify(json)));

/** @param merges path of CLIP's vocabulary, `merges.txt` */
export async function randomFolder(configs: ConfigFiles, merges: string): Promise<ReadonlyMap<string, VirtualFile>> {
  const config = parseConfigFiles(configs);
  const files = new Map<string, VirtualFile>(Object.entries(configs).map(([path, json]) => [path, ofJson(json)]));
  const names = { text_encoder: "model.safetensors", unet: "diffusion_pytorch_model.safetensors" };
  files.set("model_index.json", ofJson(index));
  files.set("tokenizer/merges.txt", ofBytes(readFileSync(merges)));
  for (const part of parts) {
    const store = storeOf[part];
    files.set(
      `${store}/${store === "text_encoder" ? names.text_encoder : names.unet}`,
      await weightsFile(part, config),
    );
  }
  return files;
}

const index = {
  _class_name: "StableDiffusionPipeline",
  scheduler: ["diffusers", "DDIMScheduler"],
  text_encoder: ["transformers", "CLIPTextModel"],
  tokenizer: ["transformers", "CLIPTokenizer"],
  unet: ["diffusers", "UNet2DConditionModel"],
  vae: ["diffusers", "AutoencoderKL"],
};

async function weightsFile(part: (typeof parts)[number], config: ModelConfig): Promise<VirtualFile> {
  const requests = await tensorsOf(part, config);
  const stored = requests.map((request): [string, StoredTensor] => {
    const { name, shape } = request;
    const source = randomBytes(request);
    return [name, { name, dtype: "F16", shape, source, begin: 0, end: source.size }];
  });
  const first = await streamSafetensors(new Map(stored)).next();
  if (first.done) throw new Error(`${part}: has no header`);
  const header = first.value.bytes;
  // The header, then the tensors in its order without gaps.
  const pieces = [{ begin: 0, end: header.length, read: (a: number, b: number) => header.subarray(a, b) }];
  for (const [i, [, { end: size }]] of stored.entries()) {
    const begin = pieces.at(-1)!.end;
    pieces.push({ begin, end: begin + size, read: (a, b) => randomSlice(requests[i]!, a, b) });
  }
  return {
    size: pieces.at(-1)!.end,
    read(begin, end) {
      const out = new Uint8Array(end - begin);
      for (const piece of pieces) {
        const [a, b] = [Math.max(begin, piece.begin), Math.min(end, piece.end)];
        if (a < b) out.set(piece.read(a - piece.begin, b - piece.begin), a - begin);
      }
      return out;
    },
  };
}
