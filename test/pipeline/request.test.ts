import { describe, expect, it } from "vitest";
import { type TextToImageRequest, toChannelsLast, validate } from "../../src/pipeline/request.js";
import { parseSchedulerConfig } from "../../src/sampling/schedule.js";

const limits = {
  defaults: { width: 512, height: 512, steps: 20, guidance: 7.5 },
  sizeMultiple: 8,
  config: { scheduler: parseSchedulerConfig({ steps_offset: 1 }) },
};

describe("requests", () => {
  it("are filled in with the model's defaults", () => {
    expect(validate({ prompt: "a fox", seed: 3 }, limits)).toEqual({
      prompt: "a fox",
      negativePrompt: "",
      steps: 20,
      guidance: 7.5,
      seed: 3,
      width: 512,
      height: 512,
      eta: 0,
      noise: "torch",
    });
    const { seed } = validate({ prompt: "a fox" }, limits);
    expect(Number.isInteger(seed) && seed >= 0).toBe(true);
  });

  it.each<[Partial<TextToImageRequest>, string]>([
    [{ prompt: "" }, "prompt: expected 1 to 8000 characters, got an empty prompt"],
    [{ prompt: " \n" }, "prompt: expected 1 to 8000 characters, got an empty prompt"],
    [{ prompt: "a".repeat(10000) }, "prompt: expected at most 8000 characters, got 10000"],
    [{ negativePrompt: "a".repeat(10000) }, "negativePrompt: expected at most 8000 characters, got 10000"],
    [{ prompt: 3 as unknown as string }, "prompt: expected text, got number"],
    [{ steps: 0 }, "steps: expected an integer from 1 to 1000, got 0"],
    [{ steps: 1e6 }, "steps: expected an integer from 1 to 1000, got 1000000"],
    [{ steps: 2.5 }, "steps: expected an integer from 1 to 1000, got 2.5"],
    [{ steps: 1000 }, "steps: 1000 steps visit timestep 1000, training ended at 999"],
    [{ guidance: Number.NaN }, "guidance: expected a number from 0 to 100, got NaN"],
    [{ guidance: Number.POSITIVE_INFINITY }, "guidance: expected a number from 0 to 100, got Infinity"],
    [{ eta: 2 }, "eta: expected a number from 0 to 1, got 2"],
    [{ noise: "cuda" as "torch" }, "noise: expected torch or device, got cuda"],
    [{ width: 500 }, "width: expected a multiple of 8 from 8 to 4096, got 500"],
    [{ height: 0 }, "height: expected a multiple of 8 from 8 to 4096, got 0"],
    [{ height: 8192 }, "height: expected a multiple of 8 from 8 to 4096, got 8192"],
    [{ seed: -1 }, "seed: expected an integer from 0 to 9007199254740991, got -1"],
    [{ seed: 0.5 }, "seed: expected an integer from 0 to 9007199254740991, got 0.5"],
  ])("refuses %j", (part, message) => {
    expect(() => validate({ prompt: "a fox", ...part }, limits)).toThrow(message);
  });

  it("take start noise channel first", () => {
    expect([...toChannelsLast(Float32Array.of(1, 2, 3, 4, 5, 6), [1, 1, 3, 2])]).toEqual([1, 4, 2, 5, 3, 6]);
    expect(() => toChannelsLast(new Float32Array(5), [1, 1, 3, 2])).toThrow(
      "latents: expected 6 values for [1, 2, 1, 3], got 5",
    );
  });
});
