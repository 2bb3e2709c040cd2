// Counts of tensors and parameters of the published models: any mismatch means a wrong rule of assembly.
// The expected numbers were derived from the reference implementation's module tree.
import { expect, it } from "vitest";
import { stableDiffusion15 } from "../../bench/configs.js";
import { sizeOf } from "../../src/core/shape.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { decodeLatent } from "../../src/models/autoencoder.js";
import { encodeMoments } from "../../src/models/autoencoderEncoder.js";
import { sumSplitsKernel } from "../../src/ops/sumSplits.js";
import { smallestShape } from "../../src/pipeline/components.js";
import { contextGraph } from "../../src/pipeline/contextEncoder.js";
import { decoderGraph } from "../../src/pipeline/decoderGraph.js";
import { denoiseGraph } from "../../src/pipeline/denoiser.js";

const settings = { dtype: "f16" as const, maxBinding: Number.POSITIVE_INFINITY };
const model = stableDiffusion15;
const { graph: unet } = denoiseGraph(model, smallestShape(model), settings);
const count = (graph: Graph) => {
  const requests = graph.requests();
  return [requests.length, requests.reduce((sum, { shape }) => sum + sizeOf(shape), 0)];
};

it("asks for what Stable Diffusion 1.5 has", () => {
  expect(count(unet)).toEqual([686, 859_520_964]);
  expect(count(contextGraph(model, 1, settings).graph)).toEqual([196, 123_060_480]);
  const encoder = new Graph(settings);
  encodeMoments(new Scope(encoder), encoder.input("image", [1, 64, 64, 3], "f32", "prompt"), model.firstStage);
  const halves = [
    count(decoderGraph(model.firstStage, { images: 1, height: 8, width: 8 }, settings, decodeLatent).graph),
    count(encoder),
  ];
  expect(halves.map(([, parameters]) => parameters)).toEqual([49_490_199, 34_163_664]);
  expect(halves[0]![0]! + halves[1]![0]!).toBe(248);
});

it("takes keys and values of cross-attention out of the loop", () => {
  const calls = unet.calls.filter((call) => call.phase === "prompt");
  // A product may leave shares of its inner axis for another call to add.
  const prompt = calls.filter(({ kernel }) => kernel !== sumSplitsKernel).map((call) => call.label);
  expect(prompt.length).toBe(32);
  expect(prompt.every((label) => /attn2\.to_[kv]$/.test(label))).toBe(true);
});
