// Every published model is recognised by its names and shapes, and becomes what our networks ask for.
import { describe, expect, it } from "vitest";
import { Graph } from "../../../src/graph/graph.js";
import { Scope } from "../../../src/graph/scope.js";
import { decodeLatent, parseAutoencoderConfig } from "../../../src/models/autoencoder.js";
import { encodeMoments } from "../../../src/models/autoencoderEncoder.js";
import { unet } from "../../../src/models/unet.js";
import { parseUNetConfig } from "../../../src/models/unetConfig.js";
import { isCompvis, type Part, translate, translateFirstStage } from "../../../src/pipeline/compvis/translate.js";
import { compareWeights } from "../../../src/pipeline/upload.js";
import { countOf, firstStageShapes, type Shapes, under, unetShapes, unread } from "./original.js";
import { firstStages, type Published, published } from "./published.js";

const settings = { dtype: "f16" as const, maxBinding: Number.POSITIVE_INFINITY };

const files = (model: Published) =>
  unread(
    under("model.diffusion_model.", unetShapes(model.unet)),
    under("first_stage_model.", firstStageShapes(model.firstStage)),
    under("cond_stage_model.", model.stage ?? new Map()),
  );

function expectUNet(part: Part): ReturnType<typeof parseUNetConfig> {
  const config = parseUNetConfig(part.config);
  const graph = new Graph(settings);
  const x = graph.input("x", [1, 16, 16, config.inChannels], "f32", "step");
  const t = graph.input("t", [1], "f32", "step");
  unet(new Scope(graph), x, t, conditions(graph, config), config);
  compareWeights(graph.requests(), part.tensors, { component: "unet" });
  return config;
}

function conditions(graph: Graph, { contextWidth, labels }: ReturnType<typeof parseUNetConfig>) {
  return {
    ...(contextWidth ? { context: graph.input("context", [1, 7, contextWidth], "f16", "prompt") } : {}),
    ...(labels ? { labels: graph.input("labels", [1], "u32", "prompt") } : {}),
  };
}

function expectFirstStage(part: Part): void {
  const config = parseAutoencoderConfig(part.config);
  const graph = new Graph(settings);
  const w = new Scope(graph);
  encodeMoments(w, graph.input("image", [1, 64, 64, 3], "f32", "step"), config);
  decodeLatent(w, graph.input("latent", [1, 2, 2, config.latentChannels], "f32", "step"), config);
  compareWeights(graph.requests(), part.tensors, { component: "first stage" });
}

const parameters = (shapes: Shapes) => [countOf(shapes.values()), shapes.size];

describe.each(Object.entries(published))("%s", (name, model) => {
  it("is recognised, and translated into what our networks ask for", async () => {
    expect(parameters(unetShapes(model.unet))).toEqual(model.counts);
    const tensors = files(model);
    expect(isCompvis(tensors)).toBe(true);
    const result = await translate(tensors);
    expect(result.name).toBe(name);
    expect(result.ema).toBe(false);
    const config = expectUNet(result.unet);
    const attends = [...config.down, config.mid].flatMap(({ attention }) => attention ?? []);
    expect(attends.map(({ heads }) => heads)).toEqual([...model.heads]);
    expect(countOf([...result.unet.tensors.values()].map(({ shape }) => shape))).toBe(model.counts[0]);
    expectFirstStage(result.firstStage!);
    expect(result.firstStage!.config).toMatchObject({
      scaling_factor: model.scale,
      sample_size: model.side ?? 256,
    });
    expect([result.conditioner.kind, result.concat.kind]).toEqual([model.conditioner, model.concat]);
    expect(result.labels).toBe(model.unet.labels);
    expect(result.scheduler).toMatchObject({
      convention: "compvis",
      beta_schedule: "scaled_linear",
      beta_start: model.betas[0],
      beta_end: model.betas[1],
      prediction_type: model.prediction ?? "epsilon",
      clip_sample: false,
      num_train_timesteps: 1000,
    });
    expect(result.defaults.side).toBe(model.side ?? 256);
  });
});

describe.each(Object.entries(firstStages))("first stage %s", (_name, { counts, ...stage }) => {
  it.each(["", "first_stage_model."])("alone is translated from names behind '%s'", async (prefix) => {
    const shapes = firstStageShapes(stage);
    expect(parameters(shapes).reverse()).toEqual(counts);
    const training = new Map([["loss.logvar", [] as number[]]]);
    const part = await translateFirstStage(unread(under(prefix, shapes), under(prefix, training)));
    expectFirstStage(part);
    expect(part.tensors.size).toBe(counts[0]);
    expect(part.config["scaling_factor"]).toBe(undefined);
  });
});
