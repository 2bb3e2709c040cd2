// First stages that a caller puts beside a model: another one in place of its own, and a small one for previews.
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { parseTinyAutoencoderConfig } from "../../src/models/tinyAutoencoder.js";
import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import { LatentDecoder, stageBytes } from "../../src/pipeline/firstStage.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { type Folder, folderFromFiles } from "../../src/weights/folder.js";
import { describeOneAdapter, openAdapter } from "../harness/adapters.js";
import { firstStageShapes, under, unetShapes, unread } from "./compvis/original.js";
import { published } from "./compvis/published.js";
import { diffusersFolder, shapesOf } from "./seededModel.js";
import { SeededTask, type StoredTask } from "./seededTask.js";
import { seededFile } from "./seededTensors.js";

const each = <T>(levels: number, value: T): T[] => new Array<T>(levels).fill(value);

const tiny = (levels: number, channels = 8) => ({
  _class_name: "AutoencoderTiny",
  encoder_block_out_channels: each(levels, channels),
  decoder_block_out_channels: each(levels, channels),
  num_encoder_blocks: each(levels, 1),
  num_decoder_blocks: each(levels, 1),
  latent_channels: 4,
});

const kl = (levels: number) => ({
  _class_name: "AutoencoderKL",
  block_out_channels: each(levels, 32),
  down_block_types: each(levels, "DownEncoderBlock2D"),
  up_block_types: each(levels, "UpDecoderBlock2D"),
  latent_channels: 4,
  scaling_factor: 0.5,
});

/** A first stage by itself, in diffusers layout. */
const stage = (config: Readonly<Record<string, unknown>>): Folder =>
  folderFromFiles(
    new Map([
      ["config.json", new Blob([JSON.stringify(config)])],
      ["diffusion_pytorch_model.safetensors", seededFile("vae", shapesOf("vae", config)).blob],
    ]),
  );

describeOneAdapter("first stages beside a model", ({ name }) => {
  let engine: Engine;
  let stored: StoredTask;
  beforeAll(async () => {
    engine = await createEngine({ adapter: (await openAdapter(name))!, dtype: "f32" });
    ({ stored } = await SeededTask.read("text_ddim"));
  });
  afterAll(() => engine.dispose());
  const request = { prompt: "a fox", steps: 2, guidance: 3, seed: 7, width: 32, height: 24 };

  it("decodes previews with a small one, and the picture with the model's own", async () => {
    const [plain, quick] = [
      await engine.load(diffusersFolder(stored)),
      await engine.load(diffusersFolder(stored), { previewer: stage(tiny(3)) }),
    ];
    const row = await quick.progressive({ ...request, every: 1 });
    expect(row.map(({ width, height, pixels }) => [width, height, pixels.length])).toEqual(each(2, [32, 24, 3072]));
    expect(row[1]!.pixels).toEqual((await plain.textToImage(request)).pixels);
    expect(row[0]!.pixels).not.toEqual((await plain.progressive({ ...request, every: 1 }))[0]!.pixels);
    plain.dispose();
    quick.dispose();
  });

  it("keeps the small one, too, within a budget of memory", async () => {
    const small = tiny(3, 64);
    const model = await engine.load(diffusersFolder(stored), { previewer: stage(small) });
    const [width, height] = [128, 96];
    const latent = { images: 1, height: height / 4, width: width / 4 };
    const { settings } = model.programs;
    const bytes = (tile?: number) =>
      stageBytes("decoder", parseTinyAutoencoderConfig(small), latent, settings, tile ? { tile } : {}).total;
    const memoryBudget = bytes(8);
    expect(bytes()).toBeGreaterThan(memoryBudget);
    const compile = vi.spyOn(LatentDecoder, "compile");
    const [preview] = await model.progressive({ ...request, width, height, every: 1, memoryBudget });
    expect([preview!.width, preview!.height]).toEqual([width, height]);
    const tiles = compile.mock.calls.map(([, config, , , , { tile }]) => [config.kind, tile !== undefined]);
    expect(tiles).toEqual([
      ["tiny", true],
      ["kl", true],
    ]);
    compile.mockRestore();
    model.dispose();
  });

  it("refuses a small one of another factor", async () => {
    const previewer = stage(tiny(4));
    await expect(openCheckpoint(diffusersFolder(stored), { previewer })).rejects.toThrow(
      "previewer: expected 4 pixels for each of the latent along a side, it makes 8",
    );
  });

  it("draws pictures of the size that the first stage makes", async () => {
    const own = await engine.load(diffusersFolder(stored));
    const model = await engine.load(diffusersFolder(stored), { vae: stage(kl(4)) });
    expect([own.sizeMultiple, model.sizeMultiple]).toEqual([4, 8]);
    expect([model.defaults.width, model.defaults.height]).toEqual([2 * own.defaults.width, 2 * own.defaults.height]);
    expect(model.config.firstStage?.scalingFactor).toBe(own.config.firstStage?.scalingFactor);
    const { width, height } = await model.textToImage({ ...request, width: 40, height: 24 });
    expect([width, height]).toEqual([40, 24]);
    await expect(model.textToImage({ ...request, width: 36 })).rejects.toThrow("width: expected a multiple of 8");
    own.dispose();
    model.dispose();
  });
});

it("takes the place of the one that a single file lacks", async () => {
  const model = published["celeba256, ffhq256 or lsun_beds256"]!;
  const tensors = unread(under("model.diffusion_model.", unetShapes(model.unet)));
  const { translate } = await import("../../src/pipeline/compvis/translate.js");
  await expect(translate(tensors)).rejects.toThrow("the file holds no first stage");
  const sd = published["Stable Diffusion 1"]!;
  const without = unread(
    under("model.diffusion_model.", unetShapes(sd.unet)),
    under("cond_stage_model.", sd.stage ?? new Map()),
  );
  const translated = await translate(without, { firstStageBeside: true });
  expect(translated.firstStage?.config["scaling_factor"]).toBe(0.18215);
  const whole = unread(
    under("model.diffusion_model.", unetShapes(sd.unet)),
    under("first_stage_model.", firstStageShapes(sd.firstStage)),
    under("cond_stage_model.", sd.stage ?? new Map()),
  );
  const { defaults, unet } = await translate(whole);
  expect(translated.defaults).toEqual(defaults);
  expect(translated.unet.config).toEqual(unet.config);
});
