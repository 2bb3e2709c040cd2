// The tiny models of the stored tasks, as the files that people have: diffusers' folders, and single files of the original
// code. Their weights follow from their names.
import { expect } from "vitest";
import type { Shape } from "../../src/core/shape.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { bertText, parseBertConfig } from "../../src/models/bert.js";
import { clipText, parseClipConfig } from "../../src/models/clip.js";
import { decodePicture, encodePicture, parseFirstStageConfig } from "../../src/models/firstStage.js";
import { unet } from "../../src/models/unet.js";
import { parseUNetConfig } from "../../src/models/unetConfig.js";
import type { Checkpoint } from "../../src/pipeline/checkpoint.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { type Folder, folderFromFiles } from "../../src/weights/folder.js";
import { firstStageShapes, type Shapes, under, unetShapes } from "./compvis/original.js";
import type { SeededTask, StoredTask } from "./seededTask.js";
import { type Sum, seededFile } from "./seededTensors.js";

type Json = Readonly<Record<string, unknown>>;

/** Opens the model of a stored task through the loader. */
export const openSeeded = ({ stored }: Pick<SeededTask, "stored">): Promise<Checkpoint> =>
  stored.pipeline ? openCheckpoint(diffusersFolder(stored)) : openOriginal(stored);

/** A folder as the reference would save it. The text encoder that takes no part in the task is one of ours. */
export function diffusersFolder({ pipeline, models, scheduler, low_res_scheduler }: StoredTask): Folder {
  const parts: Record<string, readonly [string, string]> = {};
  const files = new Map<string, Blob>();
  const write = (path: string, json: unknown) => {
    // Python writes infinity, which JSON does not know and the stored task has as null.
    const text = JSON.stringify(json).replace('"lambda_min_clipped":null', '"lambda_min_clipped":-Infinity');
    files.set(path, new Blob([text]));
  };
  const add = (part: string, config: Json, shapes: ReadonlyMap<string, Shape>): Sum => {
    const { blob, sum } = seededFile(part, shapes);
    parts[part] = ["diffusers", String(config["_class_name"] ?? part)];
    write(`${part}/config.json`, config);
    files.set(`${part}/diffusion_pytorch_model.safetensors`, blob);
    return sum;
  };
  for (const [part, model] of Object.entries(models)) {
    const sum = add(part, model.config, shapesOf(part, model.config));
    expect([part, sum.tensors, sum.parameters]).toEqual([part, model.tensors, model.parameters]);
    expect(Math.abs(sum.sumOfAbsolutes / model.sum_of_absolutes - 1)).toBeLessThan(1e-7);
  }
  const width = models["unet"]!.config["cross_attention_dim"];
  if (typeof width === "number" && !("bert" in models)) {
    const config = { ...textEncoder, hidden_size: width };
    add("text_encoder", config, shapesOf("text_encoder", config));
    files.set("tokenizer/merges.txt", new Blob(["#version: 0.2\n"]));
  }
  if ("bert" in models) files.set("tokenizer/vocab.txt", new Blob(["[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"]));
  write("scheduler/scheduler_config.json", scheduler);
  if (low_res_scheduler) write("low_res_scheduler/scheduler_config.json", low_res_scheduler);
  write("model_index.json", { _class_name: pipeline, ...parts, scheduler: ["diffusers", scheduler!["_class_name"]] });
  return folderFromFiles(files);
}

const textEncoder = {
  vocab_size: 514, // bytes, bytes that end a word, start, end
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 7,
};

/** Names and shapes of a network, as our own code asks for them. */
export function shapesOf(part: string, config: Json): ReadonlyMap<string, Shape> {
  const graph = new Graph({ dtype: "f32" });
  const w = new Scope(graph);
  const input = (name: string, shape: Shape, dtype: "f32" | "u32" = "f32") => graph.input(name, shape, dtype, "step");
  if (part === "unet") {
    const parsed = parseUNetConfig(config);
    const { contextWidth } = parsed;
    const context = contextWidth === undefined ? {} : { context: input("context", [1, 1, contextWidth]) };
    const labels = parsed.labels ? { labels: input("labels", [1], "u32") } : {};
    const x = input("x", [1, 8, 8, parsed.inChannels]);
    unet(w, x, input("timesteps", [1]), { ...context, ...labels }, parsed);
  } else if (part === "text_encoder") {
    clipText(w.at("text_model"), input("ids", [1, 2], "u32"), parseClipConfig(config));
  } else if (part === "bert") {
    const parsed = parseBertConfig(config);
    bertText(w, input("ids", [1, 2], "u32"), parsed);
    w.at("to_logits").matrix("weight", [parsed.vocabulary, parsed.width]);
    w.at("to_logits").vector("bias", parsed.vocabulary);
  } else {
    const parsed = parseFirstStageConfig(config);
    decodePicture(w, input("latent", [1, 2, 2, parsed.latentChannels]), parsed);
    encodePicture(w, input("image", [1, 16, 16, 3]), parsed);
  }
  return new Map(graph.requests().map(({ name, shape }) => [name, shape]));
}

interface OriginalParams {
  readonly params: {
    readonly unet_config: { readonly params: Readonly<Record<string, never>> };
    readonly first_stage_config: { readonly params: Readonly<Record<string, never>> };
    /** Or the name of a part that is there already. */
    readonly cond_stage_config:
      | string
      | { readonly target: string; readonly params?: Readonly<Record<string, number>> };
  };
}

/** Buffers of the schedule in a checkpoint of the original code, which are left out here: the configuration states it. */
const [buffers, timesteps] = [12, 1000];

/** A single file with its configuration. */
function openOriginal({ models }: StoredTask): Promise<Checkpoint> {
  const model = models["ldm"]!;
  const { params } = model.config as unknown as OriginalParams;
  const { unet_config, first_stage_config, cond_stage_config } = params;
  const u = unet_config.params;
  const { ddconfig, embed_dim, n_embed } = first_stage_config.params as unknown as {
    ddconfig: { ch: number; ch_mult: number[]; num_res_blocks: number };
    embed_dim: number;
    n_embed?: number;
  };
  const shapes: Shapes = new Map([
    ...under(
      "model.diffusion_model.",
      unetShapes({
        inChannels: u["in_channels"]!,
        outChannels: u["out_channels"]!,
        modelChannels: u["model_channels"]!,
        multiples: u["channel_mult"]!,
        resBlocks: u["num_res_blocks"]!,
        attentionAt: u["attention_resolutions"]!,
        ...(u["context_dim"] ? { context: u["context_dim"], depth: u["transformer_depth"]! } : {}),
      }),
    ),
    ...under(
      "first_stage_model.",
      firstStageShapes({
        latent: embed_dim,
        width: ddconfig.ch,
        multiples: ddconfig.ch_mult,
        resBlocks: ddconfig.num_res_blocks,
        ...(n_embed ? { codes: n_embed } : {}),
      }),
    ),
    ...under("cond_stage_model.", conditionerShapes(cond_stage_config)),
  ]);
  const { blob, sum } = seededFile("ldm", shapes);
  expect([sum.tensors + buffers, sum.parameters + buffers * timesteps]).toEqual([model.tensors, model.parameters]);
  return openCheckpoint(new File([blob], "model.safetensors"), { config: { model: model.config } });
}

function conditionerShapes(config: OriginalParams["params"]["cond_stage_config"]): Shapes {
  const shapes: Shapes = new Map();
  if (typeof config === "string") return shapes;
  const { target, params } = config;
  const pair = (name: string, ...shape: number[]) => {
    shapes.set(`${name}.weight`, shape).set(`${name}.bias`, [shape[0]!]);
  };
  if (target.endsWith("SpatialRescaler")) {
    shapes.set("channel_mapper.weight", [params!["out_channels"]!, params!["in_channels"]!, 1, 1]);
  }
  if (target.endsWith("ClassEmbedder")) {
    shapes.set("embedding.weight", [params!["n_classes"]!, params!["embed_dim"]!]);
  }
  if (target.endsWith("BERTEmbedder")) {
    const [width, vocabulary] = [params!["n_embed"]!, params!["vocab_size"]!];
    const inner = 8 * 64;
    shapes.set("transformer.token_emb.weight", [vocabulary, width]);
    shapes.set("transformer.pos_emb.emb.weight", [params!["max_seq_len"]!, width]);
    for (let i = 0; i < params!["n_layer"]!; i++) {
      const [attention, feed] = [0, 1].map((k) => `transformer.attn_layers.layers.${2 * i + k}`) as [string, string];
      pair(`${attention}.0`, width);
      for (const part of ["to_q", "to_k", "to_v"]) shapes.set(`${attention}.1.${part}.weight`, [inner, width]);
      pair(`${attention}.1.to_out`, width, inner);
      pair(`${feed}.0`, width);
      pair(`${feed}.1.net.0.0`, 4 * width, width);
      pair(`${feed}.1.net.2`, width, 4 * width);
    }
    pair("transformer.norm", width);
    pair("transformer.to_logits", vocabulary, width);
  }
  return shapes;
}
