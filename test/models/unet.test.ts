// Recorded without a device: which weights a configuration asks for, and what is refused.
import { describe, expect, it } from "vitest";
import { type Shape, sizeOf } from "../../src/core/shape.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { unet } from "../../src/models/unet.js";
import { parseUNetConfig, type UNetConfig } from "../../src/models/unetConfig.js";
import { type ZooEntry, zoo } from "./zoo.js";

/** The labels that a model takes, for a batch. */
function labelsOf(config: UNetConfig, n: number): Shape {
  const { labels, timeWidth } = config;
  if (labels?.kind === "identity") return [n, timeWidth];
  return labels && "inputs" in labels ? [n, labels.inputs] : [n];
}

/** The program of a configuration, given what it asks for or other shapes. */
function record(json: object, given: { readonly [name in "x" | "t" | "context" | "labels"]?: Shape | null } = {}) {
  const config = parseUNetConfig(json);
  const graph = new Graph({ dtype: "f32", maxBinding: Number.POSITIVE_INFINITY });
  const { contextWidth, labels } = config;
  const { x = [2, 32, 32, config.inChannels], t = [2] } = given;
  const { context = contextWidth === undefined ? null : [2, 7, contextWidth] } = given;
  const { labels: labelShape = labels ? labelsOf(config, 2) : null } = given;
  const conditions = {
    ...(context && { context: graph.input("context", context, "f32", "prompt") }),
    ...(labelShape && {
      labels: graph.input("labels", labelShape, labels?.kind === "table" ? "u32" : "f32", "prompt"),
    }),
  };
  const y = unet(
    new Scope(graph),
    graph.input("x", x!, "f32", "step"),
    graph.input("t", t!, "f32", "step"),
    conditions,
    config,
  );
  return { graph, y, names: graph.requests().map(({ name }) => name) };
}

describe("the published UNets have as many parameters and tensors as their files", () => {
  it.each(Object.entries<ZooEntry>(zoo))("%s", (_name, { json, parameters, tensors, attentionBlocks = 0 }) => {
    const { graph, y } = record(json);
    const requests = graph.requests();
    expect(requests.reduce((sum, { shape }) => sum + sizeOf(shape), 0)).toBe(parameters);
    expect(requests.filter(({ name }) => name.endsWith("group_norm.weight")).length).toBe(attentionBlocks);
    expect(requests.length).toBe(tensors + 4 * attentionBlocks);
    expect(y.shape).toEqual([2, 32, 32, parseUNetConfig(json).outChannels]);
  });
});

const conditional = {
  block_out_channels: [32, 64],
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 8,
  attention_head_dim: 4,
  cross_attention_dim: 24,
};

const unconditional = {
  _class_name: "UNet2DModel",
  block_out_channels: [32, 64],
  down_block_types: ["DownBlock2D", "AttnDownBlock2D"],
  up_block_types: ["AttnUpBlock2D", "UpBlock2D"],
  layers_per_block: 1,
  norm_num_groups: 8,
};

const json = (value: unknown) => JSON.stringify(value);
const classOf = (base: object) => (base === conditional ? "UNet2DConditionModel" : "UNet2DModel");

const scaleShift = { resnet_time_scale_shift: "scale_shift" };
const resnetDown = { down_block_types: ["ResnetDownsampleBlock2D", "AttnDownBlock2D"] };
const joined = { num_class_embeds: 10, class_embeddings_concat: true };
const projection = (kind: string) => ({ class_embed_type: kind, projection_class_embeddings_input_dim: 5 });
const transformer = "attentions.0.transformer_blocks";

/** A field, and the shape of a weight without and with it (null: no such weight). */
const switches: readonly (readonly [
  base: object,
  field: object,
  name: string,
  before: Shape | null,
  after: Shape | null,
])[] = [
  [conditional, { num_class_embeds: 10 }, "class_embedding.weight", null, [10, 128]],
  [conditional, { class_embed_type: "timestep" }, "class_embedding.linear_1.weight", null, [128, 32]],
  [conditional, projection("projection"), "class_embedding.linear_1.weight", null, [128, 5]],
  [conditional, projection("simple_projection"), "class_embedding.weight", null, [128, 5]],
  [conditional, joined, "mid_block.resnets.0.time_emb_proj.weight", [64, 128], [64, 256]],
  [conditional, { time_embedding_dim: 48 }, "time_embedding.linear_2.weight", [128, 128], [48, 48]],
  [conditional, { use_linear_projection: true }, "mid_block.attentions.0.proj_in.weight", [64, 64, 1, 1], [64, 64]],
  [conditional, { only_cross_attention: true }, `down_blocks.0.${transformer}.0.attn1.to_k.weight`, [32, 32], [32, 24]],
  [conditional, { only_cross_attention: true }, `mid_block.${transformer}.0.attn1.to_k.weight`, [64, 64], [64, 64]],
  [
    conditional,
    { only_cross_attention: [true, false] },
    `up_blocks.1.${transformer}.0.attn1.to_v.weight`,
    [32, 32],
    [32, 24],
  ],
  [
    conditional,
    { only_cross_attention: [false, true] },
    `up_blocks.1.${transformer}.0.attn1.to_v.weight`,
    [32, 32],
    [32, 32],
  ],
  [conditional, { transformer_layers_per_block: [2, 3] }, `mid_block.${transformer}.2.norm1.weight`, null, [64]],
  [conditional, { transformer_layers_per_block: [2, 3] }, `up_blocks.1.${transformer}.1.norm1.weight`, null, [32]],
  [conditional, { transformer_layers_per_block: [2, 3] }, `up_blocks.1.${transformer}.2.norm1.weight`, null, null],
  [
    conditional,
    { reverse_transformer_layers_per_block: [1, 2] },
    `up_blocks.1.${transformer}.1.norm1.weight`,
    null,
    [32],
  ],
  [conditional, { layers_per_block: [2, 1] }, "down_blocks.0.resnets.1.conv1.weight", null, [32, 32, 3, 3]],
  [conditional, { layers_per_block: [2, 1] }, "up_blocks.1.resnets.2.conv1.weight", null, [32, 64, 3, 3]],
  [conditional, { in_channels: 9 }, "conv_in.weight", [32, 4, 3, 3], [32, 9, 3, 3]],
  [conditional, { out_channels: 8 }, "conv_out.weight", [4, 32, 3, 3], [8, 32, 3, 3]],
  [conditional, { mid_block_type: "UNetMidBlock2D" }, "mid_block.attentions.0.norm.weight", [64], null],
  [conditional, { mid_block_type: "UNetMidBlock2D" }, "mid_block.resnets.1.norm1.weight", [64], null],
  [conditional, { mid_block_type: null }, "mid_block.resnets.0.norm1.weight", [64], null],
  [conditional, scaleShift, "mid_block.resnets.1.time_emb_proj.weight", [64, 128], [128, 128]],
  [
    conditional,
    { down_block_types: ["AttnDownBlock2D", "DownBlock2D"] },
    "down_blocks.0.attentions.0.to_q.bias",
    null,
    [32],
  ],
  [unconditional, { num_class_embeds: 10 }, "class_embedding.weight", null, [10, 128]],
  [unconditional, { add_attention: false }, "mid_block.attentions.0.group_norm.weight", [64], null],
  [unconditional, scaleShift, "mid_block.attentions.0.group_norm.weight", [64], null],
  [unconditional, { ...scaleShift, attn_norm_num_groups: 16 }, "mid_block.attentions.0.group_norm.weight", [64], [64]],
  [unconditional, scaleShift, "up_blocks.0.attentions.0.group_norm.weight", [64], [64]],
  [unconditional, { upsample_type: "resnet" }, "up_blocks.0.upsamplers.0.conv2.weight", null, [64, 64, 3, 3]],
  [unconditional, { upsample_type: "resnet" }, "up_blocks.0.upsamplers.0.conv.weight", [64, 64, 3, 3], null],
  // As in diffusers, blocks without attention say in their name how they resample.
  [unconditional, { downsample_type: "resnet" }, "down_blocks.0.downsamplers.0.conv1.weight", null, null],
  [unconditional, resnetDown, "down_blocks.0.downsamplers.0.conv1.weight", null, [32, 32, 3, 3]],
  [
    unconditional,
    { ...resnetDown, ...scaleShift },
    "down_blocks.0.downsamplers.0.time_emb_proj.weight",
    null,
    [64, 128],
  ],
];

describe("fields of the configuration decide which weights are asked for", () => {
  const title = ([base, field, name]: (typeof switches)[number]) => `${classOf(base)} with ${json(field)}: ${name}`;
  it.each(switches.map((row) => [title(row), ...row] as const))("%s", (_, base, field, name, before, after) => {
    const shapeOf = (json: object) =>
      record(json)
        .graph.requests()
        .find((request) => request.name === name)?.shape;
    expect(shapeOf(base) ?? null).toEqual(before);
    expect(shapeOf({ ...base, ...field }) ?? null).toEqual(after);
  });
});

/** Fields that leave the weights alone, and a part of the program that they change. */
const settings: readonly (readonly [base: object, field: object])[] = [
  [conditional, { attention_head_dim: 8 }],
  [conditional, { attention_head_dim: [4, 8] }],
  [conditional, { num_attention_heads: 2 }],
  [conditional, { norm_eps: 1e-6 }],
  [conditional, { freq_shift: 1 }],
  [conditional, { flip_sin_to_cos: false }],
  [conditional, { center_input_sample: true }],
  [conditional, { downsample_padding: 0 }],
  [unconditional, { attention_head_dim: 16 }],
  [unconditional, { attention_head_dim: null }],
  [unconditional, { attention_head_dim: [8, 32] }],
  [{ ...unconditional, attn_norm_num_groups: 8 }, { attn_norm_num_groups: 16 }],
];

describe("fields of the configuration change the program", () => {
  const title = ([base, field]: (typeof settings)[number]) => `${classOf(base)} with ${json(field)}`;
  it.each(settings.map((row) => [title(row), ...row] as const))("%s", (_, base, field) => {
    const program = (json: object) =>
      record(json).graph.calls.map(({ label, params, consts, grid }) => ({ label, params, consts, grid }));
    expect(program({ ...base, ...field })).not.toEqual(program(base));
  });

  it("which leaves alone what only says how the reference computes", () => {
    const { graph } = record(conditional);
    const other = record({ ...conditional, upcast_attention: true, mid_block_only_cross_attention: true }).graph;
    expect(other.calls.map(({ label }) => label)).toEqual(graph.calls.map(({ label }) => label));
  });

  it("labels that are given as embeddings need no weights", () => {
    const { graph, names } = record({ ...conditional, class_embed_type: "identity" });
    expect(names).toEqual(record(conditional).names);
    expect(graph.calls.length).toBe(record(conditional).graph.calls.length + 1);
  });
});

it("takes keys and values of the context out of the loop, whichever attention they are for", () => {
  const { graph } = record(zoo["Stable Diffusion x4 upscaler"].json);
  const prompt = graph.calls.filter(({ phase }) => phase === "prompt").map(({ label }) => label);
  const inFirst = prompt.filter((label) => /attn1\.to_[kv]$/.test(label));
  expect(inFirst.length).toBe(2 * 2 * 5); // two levels of two transformers and three on the way up
  expect(prompt.filter((label) => /attn2\.to_[kv]$/.test(label)).length).toBe(2 * (3 * 5 + 1));
});

describe("sizes", () => {
  const sizes: readonly Shape[] = [
    [1, 5, 7, 3],
    [1, 2, 3, 3],
    [3, 9, 16, 3],
  ];
  const kinds = [{}, { ...resnetDown, upsample_type: "resnet" }, { downsample_padding: 0 }];
  it.each(sizes.flatMap((x) => kinds.map((kind) => [x, kind] as const)))(
    "%j, %j: comes back as it went in",
    (x, kind) => {
      expect(record({ ...unconditional, ...kind }, { x, t: [x[0]!] }).y.shape).toEqual(x);
    },
  );
});

const labelled = { ...conditional, num_class_embeds: 10 };
const vectors = { ...conditional, ...projection("projection") };
const refusals: readonly (readonly [json: object, given: Parameters<typeof record>[1], message: RegExp])[] = [
  [conditional, { x: [2, 8, 8, 3] }, /input is \[2, 8, 8, 3\], expected \[N, H, W, 4\]/],
  [conditional, { x: [2, 64, 4] }, /input is \[2, 64, 4\]/],
  [conditional, { t: [1] }, /timesteps are \[1\], expected \[2\]/],
  [conditional, { context: null }, /attends to a context \[N, T, 24\], none was given/],
  [conditional, { context: [2, 7, 32] }, /context is \[2, 7, 32\], expected \[2, T, 24\]/],
  [conditional, { context: [1, 7, 24] }, /context is \[1, 7, 24\], expected \[2, T, 24\]/],
  [conditional, { labels: [2] }, /class labels were given, the model takes none/],
  [unconditional, { context: [2, 7, 24] }, /a context was given, the model attends to none/],
  [labelled, { labels: null }, /takes class labels \(table\), none were given/],
  [labelled, { labels: [1] }, /labels are \[1\] u32, expected \[2\] u32/],
  [vectors, { labels: [2, 4] }, /labels are \[2, 4\] f32, expected \[2, 5\] f32/],
  [{ ...conditional, class_embed_type: "identity" }, { labels: [2] }, /expected \[2, 128\] f32/],
  [
    { ...conditional, addition_embed_type: "text_time" },
    {},
    /addition_embed_type is "text_time", which is not supported/,
  ],
  [{ ...conditional, class_embed_type: "learned" }, {}, /class_embed_type is "learned", which is not supported/],
  [
    { ...conditional, class_embed_type: "projection" },
    {},
    /projection_class_embeddings_input_dim is undefined, expected/,
  ],
  [{ ...conditional, time_cond_proj_dim: 32 }, {}, /time_cond_proj_dim is 32/],
  [{ ...conditional, norm_num_groups: null }, {}, /norm_num_groups is null/],
  [{ ...conditional, norm_num_groups: 12 }, {}, /32 channels do not split into 12 groups/],
  [{ ...conditional, attention_head_dim: 5 }, {}, /32 channels do not split into 5 heads/],
  [{ ...conditional, attention_head_dim: [4] }, {}, /attention_head_dim is \[4\], expected 2 positive integers/],
  [{ ...conditional, layers_per_block: [1, 2, 3] }, {}, /layers_per_block is \[1,2,3\], expected 2/],
  [{ ...conditional, cross_attention_dim: [24, 32] }, {}, /cross_attention_dim is \[24,32\]/],
  [{ ...conditional, only_cross_attention: [true] }, {}, /only_cross_attention is \[true\], expected true, false or 2/],
  [{ ...conditional, down_block_types: ["DownBlock2D"] }, {}, /2 levels, 1 down and 2 up block types/],
  [
    { ...conditional, down_block_types: ["SimpleCrossAttnDownBlock2D", "DownBlock2D"] },
    {},
    /block type SimpleCrossAttnDownBlock2D is not supported yet, expected one of DownBlock2D/,
  ],
  [{ ...conditional, mid_block_type: "UNetMidBlock2DSimpleCrossAttn" }, {}, /mid_block_type is "UNetMidBlock2DSimple/],
  [{ ...unconditional, attention_head_dim: 48 }, {}, /64 channels do not split into heads of 48/],
  [{ ...unconditional, downsample_type: "fir" }, {}, /downsample_type is "fir", expected conv, resnet/],
  [{ ...unconditional, time_embedding_type: "fourier" }, {}, /time_embedding_type is "fourier"/],
  [{ ...unconditional, down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"] }, {}, /UNet2DModel with CrossAttn/],
  [{ ...unconditional, _class_name: "UNet1DModel" }, {}, /_class_name is "UNet1DModel"/],
];

describe("what does not fit is refused by name while the program is recorded", () => {
  it.each(refusals.map((row) => [String(row[2]), ...row] as const))("%s", (_, config, given, message) => {
    expect(() => record(config, given)).toThrow(message);
  });
});
