// Counts of tensors and parameters of the published first stages: any mismatch means a wrong rule of assembly. The
// numbers were derived from the original implementation's modules; there the attention's matrices are 1 x 1 convolutions
// [C, C, 1, 1], which hold the same numbers.
import { describe, expect, it } from "vitest";
import { sizeOf } from "../../src/core/shape.js";
import { Graph, type WeightRequest } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { decodeLatent, downsampling, parseAutoencoderConfig } from "../../src/models/autoencoder.js";
import { decodePicture, encodePicture, parseFirstStageConfig } from "../../src/models/firstStage.js";
import { fromUnitRange, parseTinyAutoencoderConfig, toUnitRange } from "../../src/models/tinyAutoencoder.js";
import { decoderRequests, encoderRequests } from "../../src/pipeline/firstStageRequests.js";
import { firstStageZoo } from "./firstStageZoo.js";

const settings = { dtype: "f16" as const };
const isCodebook = ({ name }: WeightRequest) => name === "quantize.embedding.weight";
const parameters = (requests: readonly WeightRequest[]) => requests.reduce((sum, { shape }) => sum + sizeOf(shape), 0);

describe("the published first stages", () => {
  it.each(Object.entries(firstStageZoo))("%s", (_name, entry) => {
    const config = parseFirstStageConfig(entry.config);
    const encoder = encoderRequests(config, settings);
    const decoder = decoderRequests(config, settings);
    const codebook = decoder.filter(isCodebook);
    const network = decoder.filter((request) => !isCodebook(request));
    expect([encoder, network, codebook].map(parameters)).toEqual(entry.parameters);
    expect(encoder.length + decoder.length).toBe(entry.tensors);
    expect(new Set([...encoder, ...decoder].map(({ name }) => name)).size).toBe(entry.tensors);
    expect(codebook.every(({ dtype }) => dtype === "f32")).toBe(true);
    expect(downsampling(config)).toBe(entry.factor);
  });
});

describe("a first stage", () => {
  const small = (levels: number, more: object = {}) => ({
    block_out_channels: [8, 8, 16].slice(0, levels),
    down_block_types: Array(levels).fill("DownEncoderBlock2D"),
    up_block_types: Array(levels).fill("UpDecoderBlock2D"),
    norm_num_groups: 4,
    ...more,
  });

  it.each([1, 2, 3])("of %i levels gives pictures of the factor", (levels) => {
    const config = parseFirstStageConfig(small(levels));
    const factor = 2 ** (levels - 1);
    const graph = new Graph(settings);
    const picture = graph.input("picture", [2, 3 * factor, 5 * factor, 3], "f32", "step");
    expect(encodePicture(new Scope(graph), picture, config).shape).toEqual([2, 3, 5, 8]);
    const latent = graph.input("latent", [2, 3, 5, 4], "f32", "step");
    expect(decodePicture(new Scope(graph), latent, config).shape).toEqual(picture.shape);
  });

  it("has attention where its blocks say so, levels counted from the full resolution", () => {
    const config = parseFirstStageConfig(
      small(2, {
        down_block_types: ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        up_block_types: ["UpDecoderBlock2D", "AttnUpDecoderBlock2D"],
        mid_block_add_attention: false,
      }),
    );
    const queries = (requests: readonly WeightRequest[]) =>
      requests.map(({ name }) => name).filter((name) => name.endsWith("to_q.weight"));
    expect(queries(encoderRequests(config, settings))).toEqual(["encoder.down_blocks.1.attentions.0.to_q.weight"]);
    expect(queries(decoderRequests(config, settings))).toEqual([
      "decoder.up_blocks.1.attentions.0.to_q.weight",
      "decoder.up_blocks.1.attentions.1.to_q.weight",
    ]);
  });

  it("with a codebook has a latent as wide as its entries, and the scaling factor 1 unless it names another", () => {
    const vq = { _class_name: "VQModel", latent_channels: 4, vq_embed_dim: 2 };
    const config = parseAutoencoderConfig(small(2, vq));
    expect(config).toMatchObject({ kind: "vq", latentChannels: 2, innerChannels: 4, codes: 256, scalingFactor: 1 });
    expect(parseAutoencoderConfig(small(2, { ...vq, vq_embed_dim: null })).latentChannels).toBe(4);
    expect(parseAutoencoderConfig(small(2, { ...vq, scaling_factor: 0.5 })).scalingFactor).toBe(0.5);
    expect(parseAutoencoderConfig(small(2)).scalingFactor).toBe(0.18215);
    const graph = new Graph(settings);
    const latent = graph.input("latent", [1, 4, 4, 2], "f32", "step");
    decodeLatent(new Scope(graph), latent, config, { quantize: false });
    expect(graph.requests().some(isCodebook)).toBe(false);
    expect(() => decodeLatent(new Scope(graph), latent, { ...config, kind: "kl" }, { quantize: true })).toThrow(
      /expected a VQModel/,
    );
  });

  it.each<[object, string]>([
    [{ norm_type: "spatial" }, 'norm_type is "spatial", which is not supported yet'],
    [{ lookup_from_codebook: true }, "lookup_from_codebook is true, which is not supported yet"],
    [{ _class_name: "AsymmetricAutoencoderKL" }, '_class_name is "AsymmetricAutoencoderKL", which is not supported'],
    [{ latents_mean: [0, 0] }, "latents_mean is [0,0], which is not supported yet"],
    [{ up_block_types: ["UpDecoderBlock2D", "UpBlock2D"] }, "block type UpBlock2D is not supported yet"],
    [{ down_block_types: ["DownEncoderBlock2D"] }, "down_block_types has 1 entries for 2 levels"],
    [{ norm_num_groups: 3 }, "8 channels do not split into 3 groups"],
    [{ _class_name: "VQModel", num_vq_embeddings: 0 }, "num_vq_embeddings is 0, expected a positive integer"],
  ])("refuses %j", (change, message) => {
    expect(() => parseFirstStageConfig(small(2, change), "vqvae/config.json")).toThrow(`vqvae/config.json: ${message}`);
  });
});

describe("the tiny first stage", () => {
  it("is TAESD unless its configuration says otherwise", () => {
    const config = parseTinyAutoencoderConfig({});
    expect(config).toMatchObject({ channels: [64, 64, 64, 64], latentChannels: 4, scalingFactor: 1 });
    expect(downsampling(config)).toBe(8);
    const [encoder, decoder] = [encoderRequests(config, settings), decoderRequests(config, settings)];
    // Sums over the published network: 10 blocks of three convolutions on each side, and the layers between them.
    const block = 3 * (64 * 64 * 9 + 64);
    const plain = 64 * 64 * 9;
    expect(parameters(encoder)).toBe(10 * block + 3 * plain + (64 * 3 * 9 + 64) + (4 * 64 * 9 + 4));
    expect(parameters(decoder)).toBe(10 * block + 3 * plain + (64 * 4 * 9 + 64) + (3 * 64 * 9 + 3));
  });

  it("maps latents to [0, 1] and back", () => {
    const config = parseTinyAutoencoderConfig({});
    expect([-9, -3, 0, 1.5, 3, 9].map((x) => toUnitRange(x, config))).toEqual([0, 0, 0.5, 0.75, 1, 1]);
    expect([0, 0.5, 0.75, 1].map((x) => fromUnitRange(x, config))).toEqual([-3, 0, 1.5, 3]);
  });

  it.each<[object, string]>([
    [{ act_fn: "silu" }, 'act_fn is "silu", which is not supported yet'],
    [{ upsampling_scaling_factor: 4 }, "upsampling_scaling_factor is 4, which is not supported yet"],
    [{ decoder_block_out_channels: [64, 64, 64, 32] }, "expected the same number each"],
    [{ num_encoder_blocks: [1, 3] }, "lists of 4 and 2 levels, expected the same number each"],
  ])("refuses %j", (change, message) => {
    expect(() => parseFirstStageConfig({ _class_name: "AutoencoderTiny", ...change })).toThrow(message);
  });
});
