import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import type { Estimate } from "../../src/pipeline/estimate.js";
import { estimate } from "../../src/pipeline/estimateLazily.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { folderFromPath } from "../../src/weights/node.js";
import { describeOneAdapter, openAdapter } from "../harness/adapters.js";
import { openSeeded } from "./seededModel.js";
import { SeededTask } from "./seededTask.js";

const MiB = 2 ** 20;
const usual = { maxBufferSize: 256 * MiB, maxStorageBufferBindingSize: 128 * MiB };

const tiny = async (task: string) => openSeeded(await SeededTask.read(task));

describe("an estimate", () => {
  it("reads headers and configurations alone", async () => {
    const folder = await folderFromPath("weights/sticker");
    let read = 0;
    const counting = {
      name: folder.name,
      open: async (path: string) => {
        const source = await folder.open(path);
        return (
          source && {
            name: source.name,
            size: source.size,
            read: (begin: number, end: number, signal?: AbortSignal) => {
              read += end - begin;
              return source.read(begin, end, signal);
            },
          }
        );
      },
    };
    const half = await estimate(counting, { dtype: "f16" });
    expect(read).toBeLessThan(3 * MiB); // the vocabulary is most of it
    expect(half.download).toBeGreaterThan(30 * MiB);
    expect(half.components.map(({ name }) => name)).toEqual(["conditioner", "unet", "decoder"]);
    expect(half.components.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(half.weights);
    const full = await estimate(counting, { dtype: "f32" });
    expect(full.weights / half.weights).toBeCloseTo(2, 1);
    expect(full.download).toBe(half.download);
    expect(half.fits).toBeUndefined();
  });

  it("grows with the picture, the batch and guidance", async () => {
    const checkpoint = await tiny("text_ddim");
    const of = (options: object) => estimate(checkpoint, options).then(({ intermediates }) => intermediates);
    const plain = await of({ guidance: 1 });
    expect(await of({ guidance: 3 })).toBeGreaterThan(plain);
    expect(await of({ guidance: 1, images: 2 })).toBeGreaterThan(1.5 * plain);
    const { width, height } = checkpoint.defaults;
    expect(await of({ guidance: 1, width: 2 * width, height })).toBeGreaterThan(1.5 * plain);
  });

  it("says whether an adapter can do it, and why not", async () => {
    const checkpoint = await tiny("text_ddim");
    const sizes = await estimate(checkpoint, { limits: usual });
    expect(sizes.fits).toBe(true);
    expect(sizes).not.toHaveProperty("reason");
    const refused = async (limits: object): Promise<Estimate> =>
      estimate(checkpoint, { limits: { ...usual, ...limits } });
    expect(await refused({ memory: sizes.weights })).toEqual({
      ...sizes,
      fits: false,
      reason: `needs ${sizes.weights + sizes.intermediates} bytes of memory, there are ${sizes.weights}`,
    });
    expect(await refused({ maxBufferSize: 1024 })).toMatchObject({
      fits: false,
      weights: sizes.weights,
      reason: expect.stringMatching(/needs a buffer of \d+ bytes.* allows 1024$/),
    });
  });

  it("plans the decoder in tiles where one piece does not fit", async () => {
    const checkpoint = await openCheckpoint(await folderFromPath("weights/sticker"));
    const size = { width: 512, height: 512 };
    const whole = await estimate(checkpoint, size);
    const limits = { ...usual, maxBufferSize: whole.largestBuffer / 2 };
    const tiled = await estimate(checkpoint, { ...size, limits });
    expect(tiled.fits).toBe(true);
    expect(tiled.largestBuffer).toBeLessThanOrEqual(limits.maxBufferSize);
  });

  it.each(["unconditional", "ldm_layout", "ldm_semantic", "super_resolution", "upscale", "inpaint9_full"])(
    "knows models of %s",
    async (task) => {
      const { weights, intermediates, fits } = await estimate(await tiny(task), { limits: usual });
      expect(fits).toBe(true);
      expect(weights).toBeGreaterThan(0);
      expect(intermediates).toBeGreaterThan(0);
    },
  );

  it("refuses what no request may ask", async () => {
    const checkpoint = await tiny("text_ddim");
    await expect(estimate(checkpoint, { width: 3 })).rejects.toThrow("width: expected a multiple");
    await expect(estimate(checkpoint, { images: 0, limits: usual })).rejects.toThrow("images: expected");
  });
});

describeOneAdapter("an estimate", ({ name }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ adapter: (await openAdapter(name))!, dtype: "f32" });
  });
  afterAll(() => engine.dispose());

  it.each([{ images: 1 }, { images: 2, guidance: 3 }])("is what the device gives: %o", async (options) => {
    const checkpoint = await tiny("text_ddim");
    const estimated = await engine.estimate(checkpoint, options);
    expect(estimated.fits).toBe(true);
    let held = 0;
    const { gpu } = engine.device;
    const create = gpu.createBuffer.bind(gpu);
    const model = await engine.load(checkpoint);
    expect(model.memory.weights).toBe(estimated.weights);
    gpu.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      if (descriptor.usage & GPUBufferUsage.UNIFORM) return buffer; // params, which are counted in kilobytes
      const { size } = buffer;
      const destroy = buffer.destroy.bind(buffer);
      held += size;
      buffer.destroy = () => {
        held -= size;
        return destroy();
      };
      return buffer;
    };
    await model.prepare(options);
    gpu.createBuffer = create;
    // The rest is the latent's noise.
    expect(held / estimated.intermediates).toBeGreaterThan(0.97);
    expect(held / estimated.intermediates).toBeLessThan(1.03);
    model.dispose();
  });
});
