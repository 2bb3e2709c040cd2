import { describe, expect, it } from "vitest";
import { toChannelsLast } from "../../src/pipeline/noiseStream.js";
import { type SamplingOptions, type SizeOptions, validate, validateSize } from "../../src/pipeline/request.js";
import { samplerPath } from "../../src/sampling/sampler.js";
import { parseSchedulerConfig } from "../../src/sampling/schedule.js";

const limits = {
  defaults: { width: 512, height: 512, steps: 20, guidance: 7.5, eta: 0 },
  sizeMultiple: 8,
  config: { scheduler: parseSchedulerConfig({ steps_offset: 1 }) },
};

describe("requests", () => {
  it("are filled in with the model's defaults", () => {
    expect(validate({ seed: 3 }, limits)).toEqual({
      steps: 20,
      guidance: 7.5,
      guidanceRescale: 0,
      sampler: "ddim",
      scheduler: limits.config.scheduler,
      seed: 3,
      seeds: [3],
      eta: 0,
      noise: "torch",
      jointNoise: false,
      memoryBudget: undefined,
    });
    expect(validateSize({}, limits)).toEqual({ width: 512, height: 512 });
    const { seed } = validate({}, limits);
    expect(Number.isInteger(seed) && seed >= 0).toBe(true);
    expect(validate({ seed: 7, images: 3 }, limits).seeds).toEqual([7, 8, 9]);
    expect(validate({ seed: 7, images: 3, jointNoise: true }, limits).seeds).toEqual([7, 7, 7]);
  });

  it("take the sampler of the checkpoint, and DDIM where that is unknown", () => {
    const of = (name: string) => ({ ...limits, config: { scheduler: parseSchedulerConfig({ _class_name: name }) } });
    expect(validate({}, of("PNDMScheduler")).sampler).toBe("pndm");
    expect(validate({}, of("EulerDiscreteScheduler")).sampler).toBe("ddim");
    const noisy = { ...limits, defaults: { ...limits.defaults, eta: 1 } };
    expect(validate({}, noisy).eta).toBe(1);
    expect(validate({ sampler: "dpm++" }, noisy).eta).toBe(0);
    expect(validate({ spacing: "trailing" }, limits).scheduler).toMatchObject({ spacing: "trailing" });
    expect(validate({ spacing: "quad" }, limits).scheduler).toMatchObject({
      convention: "compvis",
      discretize: "quad",
    });
  });

  it.each([
    ["DDIMScheduler", "diffusers"],
    ["PNDMScheduler", "diffusers"],
    ["DDIMScheduler", "compvis"],
  ])("spread timesteps as asked whichever sampler the checkpoint names: %s, %s", (_class_name, convention) => {
    const scheduler = parseSchedulerConfig({ _class_name, convention, steps_offset: 1, skip_prk_steps: true });
    const visits = (options: SamplingOptions) => {
      const settings = validate({ steps: 4, ...options }, { ...limits, config: { scheduler } });
      return samplerPath(settings.scheduler, settings).steps.map(({ timestep }) => Math.round(timestep));
    };
    expect(visits({ sampler: "ddim", spacing: "trailing" })).toEqual([999, 749, 499, 249]);
    expect(visits({ sampler: "ddim", spacing: "linspace" })).toEqual([999, 666, 333, 0]);
    expect(visits({ sampler: "ddim", spacing: "quad" })).toEqual([801, 356, 89, 1]);
    expect(visits({ sampler: "dpm++", spacing: "leading" })).toEqual([801, 601, 401, 201]);
    expect(visits({ sampler: "dpm++", spacing: "uniform" })).toEqual([999, 749, 499, 250]);
    expect(visits({ sampler: "plms", spacing: "trailing" })).toEqual([999, 749, 749, 499, 249]);
    expect(visits({ sampler: "plms", spacing: "uniform" })).toEqual([751, 501, 501, 251, 1]);
  });

  it.each<[SamplingOptions, string]>([
    [{ steps: 0 }, "steps: expected an integer from 1 to 1000, got 0"],
    [{ steps: 1e6 }, "steps: expected an integer from 1 to 1000, got 1000000"],
    [{ steps: 2.5 }, "steps: expected an integer from 1 to 1000, got 2.5"],
    [{ steps: 1000 }, "steps: 1000 steps visit timestep 1000, training ended at 999"],
    [{ guidance: Number.NaN }, "guidance: expected a number from 0 to 100, got NaN"],
    [{ guidance: Number.POSITIVE_INFINITY }, "guidance: expected a number from 0 to 100, got Infinity"],
    [{ guidanceRescale: 2 }, "guidanceRescale: expected a number from 0 to 1, got 2"],
    [{ eta: 2 }, "eta: expected a number from 0 to 1, got 2"],
    [{ sampler: "pndm", eta: 0.5 }, "eta: pndm takes none, expected 0, got 0.5"],
    [{ sampler: "euler" as "ddim" }, "sampler: expected ddim, ddpm, pndm, plms, dpm++, got euler"],
    [{ spacing: "even" as "quad" }, "spacing: expected leading, trailing, linspace, uniform, quad, got even"],
    [{ spacing: "quad", sampler: "dpm++" }, "spacing: dpm++ of the original code has no quad"],
    [{ spacing: "quad", sampler: "ddpm", steps: 1000 }, "spacing: ddpm of the original code has no quad"],
    [{ noise: "cuda" as "torch" }, "noise: expected torch or device, got cuda"],
    [{ jointNoise: true, noise: "device" }, "jointNoise: expected noise of torch, got device"],
    [{ images: 0 }, "images: expected an integer from 1 to 64, got 0"],
    [{ memoryBudget: -1 }, "memoryBudget: expected a number from 1 to"],
    [{ seed: -1 }, "seed: expected an integer from 0 to 9007199254740991, got -1"],
    [{ seed: 0.5 }, "seed: expected an integer from 0 to 9007199254740991, got 0.5"],
  ])("refuses %j", (options, message) => {
    expect(() => validate(options, limits)).toThrow(message);
  });

  it.each<[SizeOptions, string]>([
    [{ width: 500 }, "width: expected a multiple of 8 from 8 to 4096, got 500"],
    [{ height: 0 }, "height: expected a multiple of 8 from 8 to 4096, got 0"],
    [{ height: 8192 }, "height: expected a multiple of 8 from 8 to 4096, got 8192"],
  ])("refuses the size %j", (size, message) => {
    expect(() => validateSize(size, limits)).toThrow(message);
  });

  it("take start noise channel first", () => {
    expect([...toChannelsLast(Float32Array.of(1, 2, 3, 4, 5, 6), [1, 1, 3, 2])]).toEqual([1, 4, 2, 5, 3, 6]);
  });
});
