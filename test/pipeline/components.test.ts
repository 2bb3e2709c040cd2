// Which tensors a part of a checkpoint asks for, and which may lie beside them; all of it without a device.
import { describe, expect, it } from "vitest";
import type { WeightRequest } from "../../src/graph/graph.js";
import type { AutoencoderConfig } from "../../src/models/autoencoder.js";
import { parseBertConfig } from "../../src/models/bert.js";
import { type Component, checkComponent, requestsOf, storeOf } from "../../src/pipeline/components.js";
import type { ModelConfig } from "../../src/pipeline/modelConfig.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import type { Folder } from "../../src/weights/folder.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { fromBytes } from "../../src/weights/source.js";
import { diffusersFolder } from "./seededModel.js";
import { SeededTask } from "./seededTask.js";
import { smallStages } from "./smallStages.js";

const settings = { dtype: "f32", maxBinding: Number.POSITIVE_INFINITY } as const;

const bert = parseBertConfig({
  vocab_size: 20,
  d_model: 8,
  encoder_layers: 1,
  encoder_attention_heads: 2,
  head_dim: 4,
});
const configOf = (parts: Partial<ModelConfig>) => parts as ModelConfig;
const stage = (kind: "kl" | "vq") => configOf({ firstStage: smallStages[kind] as AutoencoderConfig });

function check(component: Component, config: ModelConfig, requests: readonly WeightRequest[]): Promise<void> {
  const source: StoredTensor["source"] = { name: "test", size: 0, read: () => Promise.reject(new Error("not read")) };
  const tensor = ({ name, shape }: WeightRequest): StoredTensor => ({
    ...{ name, shape, source },
    dtype: "F32",
    begin: 0,
    end: 0,
  });
  const stored = new Map(requests.map((request) => [request.name, tensor(request)]));
  return checkComponent(component, { config, stored: { [storeOf[component]]: stored }, preview: undefined }, settings);
}

describe("a part of a checkpoint", () => {
  it.each(["kl", "vq"] as const)("leaves the other half of a first stage alone (%s)", async (kind) => {
    const config = stage(kind);
    const opened = { config, stored: {}, preview: undefined };
    const decoder = await requestsOf("decoder", opened, settings);
    const encoder = await requestsOf("encoder", opened, settings);
    for (const half of ["decoder", "encoder"] as const) await check(half, config, [...decoder, ...encoder]);
    await expect(check("decoder", config, encoder)).rejects.toThrow(/^vae: .*post_quant_conv\.weight is missing/);
    await expect(check("encoder", config, decoder)).rejects.toThrow(/^vae: .*encoder\.conv_in\.weight is missing/);
  });

  it("leaves the heads of text encoders alone, and names what else is too much", async () => {
    const config = configOf({ conditioner: { kind: "bert", config: bert } });
    const own = await requestsOf("conditioner", { config, stored: {}, preview: undefined }, settings);
    const extra = (name: string): WeightRequest => ({ ...own[0]!, name });
    await check("conditioner", config, [...own, extra("to_logits.weight"), extra("text_projection.weight")]);
    await expect(check("conditioner", config, [...own, extra("model.head.weight")])).rejects.toThrow(
      "text_encoder: the weights do not fit the configuration: model.head.weight is not part of the model",
    );
  });

  it("is refused where it takes class labels beside a context, which no task gives", async () => {
    const { stored } = await SeededTask.read("text_ddim");
    const folder = diffusersFolder(stored);
    const unet = new TextEncoder().encode(JSON.stringify({ ...stored.models["unet"]!.config, num_class_embeds: 10 }));
    const open: Folder["open"] = async (path) =>
      path === "unet/config.json" ? fromBytes(unet, path) : folder.open(path);
    await expect(openCheckpoint({ name: "labelled", open })).rejects.toThrow("takes class labels beside a context");
  });
});
