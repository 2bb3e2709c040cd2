import { describe, expect, it } from "vitest";
import { translate, translateFirstStage, translateUNet } from "../../../src/pipeline/compvis/translate.js";
import { fromBytes } from "../../../src/weights/byteSource.js";
import { toFloat32 } from "../../../src/weights/decode.js";
import type { StoredTensor } from "../../../src/weights/safetensors.js";
import { firstStageShapes, floats, type OriginalUNet, type Shapes, under, unetShapes, unread } from "./original.js";
import { published } from "./published.js";

const small: OriginalUNet = {
  inChannels: 4,
  outChannels: 4,
  modelChannels: 32,
  multiples: [1, 2],
  attentionAt: [2],
};
const stage = { latent: 4, width: 32, multiples: [1, 2] } as const;

function files(unet: OriginalUNet = small, conditioner: Shapes = new Map()): Map<string, StoredTensor> {
  return unread(
    under("model.diffusion_model.", unetShapes(unet)),
    under("first_stage_model.", firstStageShapes({ ...stage, latent: unet.outChannels })),
    under("cond_stage_model.", conditioner),
  );
}

/** The YAML of a small model. */
const yaml = (unet: OriginalUNet = small, params: object = {}, unetParams: object = { num_heads: 2 }) => ({
  model: {
    target: "ldm.models.diffusion.ddpm.LatentDiffusion",
    params: {
      image_size: 8,
      cond_stage_config: "__is_unconditional__",
      unet_config: {
        target: "ldm.modules.diffusionmodules.openaimodel.UNetModel",
        params: {
          in_channels: unet.inChannels,
          out_channels: unet.outChannels,
          model_channels: unet.modelChannels,
          channel_mult: unet.multiples,
          num_res_blocks: unet.resBlocks ?? 2,
          ...unetParams,
        },
      },
      first_stage_config: { target: "ldm.models.autoencoder.AutoencoderKL", params: {} },
      ...params,
    },
  },
});

const target = (name: string, params: object = {}) => ({ target: `ldm.modules.encoders.modules.${name}`, params });

const publishedFile = (name: string) => {
  const { unet, firstStage, stage: conditioner } = published[name]!;
  return unread(
    under("model.diffusion_model.", unetShapes(unet)),
    under("first_stage_model.", firstStageShapes(firstStage)),
    under("cond_stage_model.", conditioner ?? new Map()),
  );
};

describe("a model that is not among the published ones", () => {
  it("needs the original configuration, and is told why", async () => {
    await expect(translate(files())).rejects.toThrow(/model_channels 32.*heads.*give the original configuration/);
  });

  it("is translated with it, defaults of the original classes included", async () => {
    const result = await translate(files(), { config: yaml() });
    expect(result).toMatchObject({
      name: "latent diffusion model",
      unet: { config: { _class_name: "UNet2DModel", attention_head_dim: 32, sample_size: 8 } },
      firstStage: { config: { _class_name: "AutoencoderKL", scaling_factor: 1, sample_size: 16 } },
      scheduler: { beta_schedule: "scaled_linear", beta_start: 1e-4, beta_end: 2e-2, prediction_type: "epsilon" },
      conditioner: { kind: "none" },
      concat: { kind: "none" },
      ema: false,
      defaults: { side: 16 },
      notes: [],
    });
    expect(result.labels).toBe(undefined);
  });

  it.each([
    [{ num_heads: 4 }, [4, 4]],
    [{ num_heads: 4, num_head_channels: 16 }, [2, 4]],
    [{ num_head_channels: 8, legacy: false }, [4, 8]],
  ])("takes heads from %o", (params, heads) => {
    const unet = { ...small, context: 24, attentionAt: [1, 2] };
    const { config } = translateUNet(files(unet), yaml(unet, {}, params));
    expect(config["attention_head_dim"]).toEqual(heads);
  });

  it("tells what attends to the context alone where shapes do not", () => {
    const unet = { ...small, context: 32, attentionAt: [1, 2], crossOnly: [false, true] };
    const only = (params: object) =>
      translateUNet(files(unet), yaml(unet, {}, { num_heads: 4, ...params })).config["only_cross_attention"];
    expect(only({})).toEqual([false, true]);
    expect(only({ disable_self_attentions: [true, true] })).toEqual([true, true]);
    expect(() => only({ disable_self_attentions: [true] })).toThrow(/expected 2 of true or false/);
    expect(() => only({ disable_middle_self_attn: true })).toThrow(/disable_middle_self_attn/);
  });

  it.each([
    [{ model_channels: 64 }, /model_channels is 64, the tensors show 32/],
    [{ channel_mult: [1, 4] }, /channel_mult is \[1,4\]/],
    [{ num_res_blocks: 3 }, /num_res_blocks is 3, the tensors show 2/],
    [{ in_channels: 9 }, /in_channels is 9/],
    [{ num_heads: undefined }, /num_heads or num_head_channels is missing/],
    [{ num_heads_upsample: 4 }, /num_heads_upsample is 4/],
    [{ conv_resample: false }, /conv_resample is false/],
    [{ num_heads: -1, num_head_channels: 24 }, /64 channels do not split into heads of 24/],
  ])("refuses a configuration of another UNet: %o", async (params, message) => {
    const config = yaml(small, {}, { num_heads: 2, ...params });
    await expect(translate(files(), { config })).rejects.toThrow(message);
  });

  it("may work on pixels", async () => {
    const config = yaml(small, { first_stage_config: { target: "ldm.models.autoencoder.IdentityFirstStage" } });
    const tensors = unread(under("model.diffusion_model.", unetShapes(small)));
    const result = await translate(tensors, { config });
    expect(result.firstStage).toBe(undefined);
    expect(result.defaults.side).toBe(8);
    await expect(translate(tensors, { config: yaml() })).rejects.toThrow(/no first stage/);
  });

  it("names a tensor that has no place", async () => {
    for (const name of [
      "model.diffusion_model.input_blocks.1.0.in_layers.7.weight",
      "model.diffusion_model.extra.weight",
      "first_stage_model.encoder.down.0.extra.weight",
    ]) {
      const tensors = new Map([...files(), [name, floats(name, [1], [0])]]);
      await expect(translate(tensors, { config: yaml() })).rejects.toThrow(name.split(".").slice(-2).join("."));
    }
  });

  it("refuses latents that do not fit the UNet", async () => {
    const tensors = unread(
      under("model.diffusion_model.", unetShapes(small)),
      under("first_stage_model.", firstStageShapes({ ...stage, latent: 3 })),
    );
    await expect(translate(tensors, { config: yaml() })).rejects.toThrow(/predicts 4 channels.*latents of 3/);
  });
});

describe("conditions, as the configuration routes them", () => {
  const mapper: Shapes = new Map([["channel_mapper.weight", [3, 7, 1, 1]]]);
  const classes: Shapes = new Map([["embedding.weight", [11, 24]]]);
  const three = { ...small, outChannels: 3 };
  const rows: readonly [string, OriginalUNet, Shapes, object, object][] = [
    [
      "concatenation is the default",
      { ...three, inChannels: 6 },
      mapper,
      { cond_stage_config: target("SpatialRescaler", { n_stages: 1, in_channels: 7, out_channels: 3 }) },
      {
        conditioner: { kind: "none" },
        concat: {
          kind: "segmentation",
          part: { config: { n_stages: 1, in_channels: 7, out_channels: 3, multiplier: 0.5, method: "bilinear" } },
        },
      },
    ],
    [
      "a low-resolution picture",
      { ...three, inChannels: 6 },
      new Map(),
      { concat_mode: true, cond_stage_config: { target: "torch.nn.Identity" } },
      { concat: { kind: "image", channels: 3 } },
    ],
    [
      "the first stage of a masked picture",
      { ...three, inChannels: 7 },
      // The file keeps the first stage a second time under this name.
      firstStageShapes({ ...stage, latent: 3 }),
      { concat_mode: true, cond_stage_config: "__is_first_stage__" },
      { conditioner: { kind: "none" }, concat: { kind: "maskedImage" } },
    ],
    [
      "class vectors",
      { ...small, context: 24 },
      classes,
      { conditioning_key: "crossattn", cond_stage_config: target("ClassEmbedder", { n_classes: 11, embed_dim: 24 }) },
      { conditioner: { kind: "class", part: { config: { n_classes: 11, embed_dim: 24 } } }, concat: { kind: "none" } },
    ],
    [
      "embeddings from outside",
      { ...small, context: 24 },
      new Map(),
      { conditioning_key: "crossattn", cond_stage_config: { target: "torch.nn.Identity" } },
      { conditioner: { kind: "embeddings", width: 24 } },
    ],
    [
      "mask and masked latent beside a context",
      { ...small, inChannels: 9, context: 24 },
      classes,
      { conditioning_key: "hybrid", cond_stage_config: target("ClassEmbedder") },
      { conditioner: { kind: "class" }, concat: { kind: "inpaint" } },
    ],
    [
      "labels alone",
      { ...small, labels: 5 },
      new Map(),
      { conditioning_key: "adm", cond_stage_config: { target: "torch.nn.Identity" } },
      { conditioner: { kind: "none" }, concat: { kind: "none" }, labels: 5 },
    ],
    [
      "a noised picture with its level",
      { ...small, inChannels: 7, context: 24, labels: 1000 },
      classes,
      {
        conditioning_key: "hybrid-adm",
        cond_stage_config: target("ClassEmbedder"),
        parameterization: "v",
        linear_end: 0.012,
        low_scale_config: target("ImageConcatWithNoiseAugmentation", {
          max_noise_level: 250,
          noise_schedule_config: { linear_start: 0.0001, linear_end: 0.02 },
        }),
      },
      {
        labels: 1000,
        scheduler: { prediction_type: "v_prediction", beta_end: 0.012 },
        concat: {
          kind: "lowResolution",
          noiseLevels: 251,
          scheduler: { prediction_type: "epsilon", beta_end: 0.02 },
        },
      },
    ],
  ];

  it.each(rows)("%s", async (_name, unet, conditioner, params, expected) => {
    const result = await translate(files(unet, conditioner), { config: yaml(unet, params) });
    expect(result).toMatchObject(expected);
  });

  it("of the published upscaler stop at level 350, and noise by the latent's schedule", async () => {
    const { concat } = await translate(publishedFile("Stable Diffusion x4 upscaler"));
    expect(concat).toMatchObject({ noiseLevels: 351, scheduler: { beta_end: 0.02, prediction_type: "epsilon" } });
  });

  it("of a layout are told from captions by the configuration, or by the number of tokens", async () => {
    const name = "layout2img-openimages256";
    expect((await translate(publishedFile(name))).conditioner.kind).toBe("boxes");
    const { unet } = published[name]!;
    const params = { conditioning_key: "crossattn", cond_stage_config: target("BERTEmbedder") };
    for (const [key, kind] of [
      ["coordinates_bbox", "boxes"],
      ["caption", "bert"],
    ]) {
      const config = yaml(unet, { ...params, cond_stage_key: key }, { num_head_channels: 32 });
      expect((await translate(publishedFile(name), { config })).conditioner.kind).toBe(kind);
    }
  });

  it.each([
    ["a key without a context", { ...small, context: 24 }, { conditioning_key: "concat" }, /attends to a context/],
    ["no encoder", { ...small, context: 24 }, { conditioning_key: "crossattn" }, /FrozenCLIPEmbedder.*missing/],
    ["channels without a key", { ...small, inChannels: 8 }, { conditioning_key: "adm" }, /8 channels/],
    ["an unknown join", { ...small, inChannels: 8, context: 24 }, { conditioning_key: "hybrid" }, /8 channels in/],
    ["an unknown key", { ...small, context: 24 }, { conditioning_key: "crossattn-adm" }, /crossattn-adm/],
  ] as const)("are refused: %s", async (_name, unet, params, message) => {
    const conditioner: Shapes = message.source.includes("8 channels in")
      ? new Map([["embedding.weight", [11, 24]]])
      : new Map();
    const config = yaml(unet, { cond_stage_config: target("FrozenCLIPEmbedder"), ...params });
    await expect(translate(files(unet, conditioner), { config })).rejects.toThrow(message);
  });

  it("by vectors in place of labels are refused", async () => {
    const tensors = files();
    for (const name of ["label_emb.0.0.weight", "label_emb.0.0.bias"]) {
      tensors.set(`model.diffusion_model.${name}`, floats(name, [1], [0]));
    }
    await expect(translate(tensors, { config: yaml() })).rejects.toThrow(/unCLIP/);
  });
});

describe("running averages", () => {
  const average = (path: string) => `model_ema.diffusion_model${path.replaceAll(".", "")}`;
  const shapes = unetShapes(small);

  function averaged(paths: Iterable<string>): Map<string, StoredTensor> {
    const tensors = files();
    for (const path of paths) {
      const [tensor] = unread(new Map([[average(path), shapes.get(path)!]])).values();
      tensors.set(average(path), { ...tensor!, dtype: "F32" });
    }
    tensors.set("model_ema.decay", floats("model_ema.decay", [], [0.9999]));
    return tensors;
  }

  it("take the place of the weights", async () => {
    const { unet, ema } = await translate(averaged(shapes.keys()), { config: yaml() });
    expect(ema).toBe(true);
    expect(new Set([...unet.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(["F32"]));
  });

  it("stay where they are if asked to", async () => {
    const { unet, ema } = await translate(averaged(shapes.keys()), { config: yaml(), ema: false });
    expect(ema).toBe(false);
    expect(new Set([...unet.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(["F16"]));
  });

  it("leave weights alone that were not trained", async () => {
    const { unet } = await translate(averaged(["out.2.bias"]), { config: yaml() });
    expect(unet.tensors.get("conv_out.bias")?.dtype).toBe("F32");
    expect(unet.tensors.get("conv_out.weight")?.dtype).toBe("F16");
  });
});

describe("the schedule", () => {
  const n = 1000;
  const line = (a: number, b: number) => Array.from({ length: n }, (_, i) => a + ((b - a) * i) / (n - 1));
  const scaled = (a: number, b: number) => line(Math.sqrt(a), Math.sqrt(b)).map((root) => root * root);
  const file = publishedFile("cin256");

  it.each([
    ["scaled_linear", scaled(0.00085, 0.012), { beta_start: 0.00085, beta_end: 0.012 }],
    ["linear", line(0.0001, 0.0201234), { beta_start: 0.0001, beta_end: 0.0201234 }],
  ])("is read from the file's betas: %s", async (name, values, ends) => {
    const tensors = new Map([...file, ["betas", floats("betas", [n], values)]]);
    const { scheduler } = await translate(tensors);
    expect(scheduler).toMatchObject({ beta_schedule: name, num_train_timesteps: n, ...ends });
    expect(scheduler["trained_betas"]).toBe(undefined);
  });

  it("of another form is kept number by number", async () => {
    const values = Array.from({ length: 200 }, (_, i) => 0.001 + 0.01 * Math.sin(i / 100));
    const { scheduler } = await translate(new Map([...file, ["betas", floats("betas", [200], values)]]));
    expect(scheduler["trained_betas"]).toEqual([...Float32Array.from(values)]);
    expect(scheduler["num_train_timesteps"]).toBe(200);
  });

  it("comes from the table where betas were rounded to half precision", async () => {
    const [rounded] = unread(new Map([["betas", [n]]])).values();
    const { scheduler } = await translate(new Map([...file, ["betas", rounded!]]));
    expect(scheduler).toMatchObject({ beta_start: 0.0015, beta_end: 0.0195 });
  });

  it.each([
    [
      { beta_schedule: "sqrt_linear", linear_start: 0.001 },
      { beta_schedule: "linear", beta_start: 0.001 },
    ],
    [
      { beta_schedule: "cosine", timesteps: 500 },
      { beta_schedule: "squaredcos_cap_v2", num_train_timesteps: 500 },
    ],
    [{ parameterization: "x0" }, { prediction_type: "sample" }],
    [{ parameterization: "v" }, { prediction_type: "v_prediction" }],
  ])("is that of the configuration: %o", async (params, expected) => {
    expect((await translate(files(), { config: yaml(small, params) })).scheduler).toMatchObject(expected);
  });

  it.each([
    [{ beta_schedule: "sqrt" }, /beta_schedule sqrt/],
    [{ parameterization: "flow" }, /parameterization flow/],
  ])("is refused: %o", async (params, message) => {
    await expect(translate(files(), { config: yaml(small, params) })).rejects.toThrow(message);
  });
});

describe("the scale of latents", () => {
  const stored = (bytes: Uint8Array): StoredTensor => ({
    name: "scale_factor",
    dtype: "F16",
    shape: [],
    source: fromBytes(bytes),
    begin: 0,
    end: bytes.byteLength,
  });
  const half = stored(Uint8Array.of(0x00, 0x3a)); // 0.75

  it("is read from the file, before the configuration and the table", async () => {
    const tensors = new Map([...publishedFile("lsun_churches256"), ["scale_factor", half]]);
    expect((await translate(tensors)).firstStage?.config["scaling_factor"]).toBe(0.75);
    const alone = unread(under("first_stage_model.", firstStageShapes(stage)));
    expect((await translateFirstStage(alone.set("scale_factor", half))).config["scaling_factor"]).toBe(0.75);
    const bare = unread(firstStageShapes(stage));
    expect((await translateFirstStage(bare.set("scale_factor", half))).config["scaling_factor"]).toBe(0.75);
  });

  it("is that of the configuration", async () => {
    const config = yaml(small, { scale_factor: 0.25 });
    expect((await translate(files(), { config })).firstStage?.config["scaling_factor"]).toBe(0.25);
    const alone = unread(firstStageShapes(stage));
    expect((await translateFirstStage(alone, config)).config["scaling_factor"]).toBe(0.25);
    const own = { model: { target: "ldm.models.autoencoder.AutoencoderKL", params: { embed_dim: 4 } } };
    expect((await translateFirstStage(alone, own)).config["scaling_factor"]).toBe(undefined);
  });

  it("is one number", async () => {
    const tensors = new Map([...files(), ["scale_factor", { ...half, shape: [0], end: 0 }]]);
    await expect(translate(tensors, { config: yaml() })).rejects.toThrow(/scale_factor: expected one number/);
  });
});

describe("Stable Diffusion 2", () => {
  const file = publishedFile("Stable Diffusion 2");
  const step = (value: string) => ({ metadata: new Map([["global_step", value]]) });

  it.each([
    ["without a step", {}, "v_prediction", 768, /does not say/],
    ["at step 875000", step("875000"), "epsilon", 512, /global_step 875000/],
    ["at step 110000", step("110000"), "v_prediction", 768, /global_step 110000/],
  ])("%s", async (_name, options, prediction, side, note) => {
    const { scheduler, defaults, notes, unet } = await translate(file, options);
    expect(scheduler["prediction_type"]).toBe(prediction);
    expect(defaults.side).toBe(side);
    expect(unet.config["sample_size"]).toBe(side / 8);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });

  const spec = (value: string) => new Map([["modelspec.prediction_type", value]]);

  it.each([
    ["epsilon", "epsilon", 512],
    ["v", "v_prediction", 768],
    ["v_prediction", "v_prediction", 768],
  ])("predicts what its metadata states: %s", async (stated, prediction, side) => {
    const { scheduler, defaults, notes } = await translate(file, { metadata: spec(stated) });
    expect([scheduler["prediction_type"], defaults.side, notes.length]).toEqual([prediction, side, 0]);
  });

  it("has a forerunner that was trained on for v, which the metadata says as well", async () => {
    const { scheduler } = await translate(publishedFile("Stable Diffusion 1"), { metadata: spec("v") });
    expect(scheduler["prediction_type"]).toBe("v_prediction");
  });

  it("is what its configuration says", async () => {
    const { unet } = published["Stable Diffusion 2"]!;
    const params = {
      conditioning_key: "crossattn",
      image_size: 64,
      cond_stage_config: target("FrozenOpenCLIPEmbedder"),
    };
    const { scheduler, defaults, notes, conditioner } = await translate(file, {
      config: yaml(unet, params, { num_head_channels: 64 }),
    });
    expect([scheduler["prediction_type"], defaults.side, notes.length]).toEqual(["epsilon", 512, 0]);
    expect(conditioner).toMatchObject({ kind: "clip", padWithZero: true, part: { config: { hidden_act: "gelu" } } });
  });
});

it("tells a first stage that has diffusers' names already", async () => {
  const { tensors } = await translateFirstStage(unread(firstStageShapes(stage)));
  await expect(translateFirstStage(tensors)).rejects.toThrow(/diffusers already/);
});

describe("a UNet alone", () => {
  it.each(["model.diffusion_model.", "diffusion_model.", ""])("has names behind '%s'", (prefix) => {
    const { unet } = published["celeba256, ffhq256 or lsun_beds256"]!;
    const { config, tensors } = translateUNet(unread(under(prefix, unetShapes(unet))));
    expect(config["attention_head_dim"]).toBe(32);
    expect(tensors.has("conv_in.weight")).toBe(true);
  });

  it("is nothing else", () => {
    expect(() => translateUNet(unread(firstStageShapes(stage)))).toThrow(/input_blocks.0.0.weight is missing/);
  });
});

it("holds weights that are read as they were", async () => {
  const tensors = files();
  const name = "model.diffusion_model.time_embed.0.bias";
  tensors.set(
    name,
    floats(
      name,
      [128],
      Array.from({ length: 128 }, (_, i) => i / 2),
    ),
  );
  const { unet } = await translate(tensors, { config: yaml() });
  const { source, begin, end, dtype } = unet.tensors.get("time_embedding.linear_1.bias")!;
  expect(toFloat32(await source.read(begin, end), dtype)[5]).toBe(2.5);
});
