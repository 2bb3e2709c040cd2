import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ConvertOptions, convert } from "../../src/cli/convert.js";
import { filesBelow } from "../../src/cli/modelFiles.js";
import { sizeOption } from "../../src/cli/numbers.js";
import { buildProgram } from "../../src/cli/program.js";
import { translation } from "../../src/cli/translation.js";
import { openComponent } from "../../src/weights/checkpoint.js";
import { folderFromPath, fromFile } from "../../src/weights/node.js";
import { openWeights } from "../../src/weights/openWeights.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { root } from "../harness/source.js";
import { firstStageShapes, under, unetShapes, unread } from "../pipeline/compvis/original.js";
import { published } from "../pipeline/compvis/published.js";
import { seeded } from "../weights/tiny.js";
import { bytesOf, global, int, pickle, type SampleTensor, torchZip } from "../weights/torchBytes.js";

const model = join(root, "test/golden/ldm/sd-diffusers");
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "webldm-convert-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const at = (path: string): string => join(folder, path);
const never = new AbortController().signal;

async function run(input: string, output: string, options: ConvertOptions = {}, signal = never) {
  let stdout = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  try {
    expect(await convert(input, output, { json: true, ...options }, signal)).toBe(0);
  } finally {
    vi.restoreAllMocks();
  }
  return JSON.parse(stdout) as { folder: string; tensors: number; files: number; bytes: number; leftOut: string[] };
}

/** Type, shape and a digest of the content by name. */
async function contents(tensors: ReadonlyMap<string, StoredTensor>) {
  const out: Record<string, string> = {};
  for (const [name, { dtype, shape, source, begin, end }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const digest = createHash("sha256").update(await source.read(begin, end));
    out[name] = `${dtype} [${shape}] ${digest.digest("hex")}`;
  }
  return out;
}
const componentOf = async (path: string, component: string) =>
  contents(await openComponent(await folderFromPath(path), component));
const fileOf = async (path: string) => contents((await openWeights(await fromFile(path))).tensors);
const components = ["unet", "vae", "text_encoder"];

/** Tensors of several types, of which floats are within the range of F16. */
function sample(): Record<string, SampleTensor> {
  const next = seeded(3);
  const floats = (n: number) => new Uint8Array(Float32Array.from({ length: n }, () => next() * 20 - 10).buffer);
  return {
    "layer.10.weight": { dtype: "F32", shape: [30, 7], bytes: floats(210) },
    "layer.9.weight": { dtype: "F32", shape: [5], bytes: floats(5) },
    half: { dtype: "F16", shape: [3], bytes: Uint8Array.of(0, 0x3c, 1, 0, 0xff, 0x7b) },
    ids: { dtype: "I64", shape: [1], bytes: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0) },
    empty: { dtype: "F32", shape: [0, 4], bytes: new Uint8Array(0) },
  };
}
const safetensors = (tensors: Record<string, SampleTensor>, metadata?: Record<string, string>) =>
  writeSafetensors(
    Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor })),
    metadata,
  );

describe("a folder", () => {
  it.each([{}, { dtype: "f16" }] as const)("keeps every bit where it is what was asked for: %o", async (options) => {
    const written = await run(model, at("out"), options);
    for (const component of components) {
      expect(await componentOf(at("out"), component)).toEqual(await componentOf(model, component));
    }
    expect(written).toMatchObject({ folder: at("out"), files: 3, leftOut: [] });
    const files = async (path: string) => (await filesBelow(path)).map((file) => file.slice(path.length));
    expect(await files(at("out"))).toEqual(await files(model));
    for (const file of (await files(model)).filter((path) => path.endsWith(".json"))) {
      expect(readFileSync(at(`out${file}`)).equals(readFileSync(join(model, file))), file).toBe(true);
    }
  });

  it("loads the same from shards, and from shards put together again", async () => {
    await run(model, at("shards"), { shardSize: 100_000 });
    const index = JSON.parse(
      readFileSync(at("shards/unet/diffusion_pytorch_model.safetensors.index.json"), "utf8"),
    ) as { metadata: { total_size: number }; weight_map: Record<string, string> };
    const names = Object.keys(index.weight_map);
    expect(names.slice(0, 2)).toEqual(["conv_in.bias", "conv_in.weight"]);
    expect(names.at(-1)).toBe("conv_out.weight");
    const shards = readdirSync(at("shards/unet")).filter((file) => file.endsWith(".safetensors"));
    expect(shards.length).toBeGreaterThan(5);
    expect(new Set(Object.values(index.weight_map))).toEqual(new Set(shards));
    expect(readdirSync(at("shards/text_encoder"))).toContain("model.safetensors.index.json");
    await run(at("shards"), at("whole"));
    expect(readdirSync(at("whole/unet"))).toEqual(["config.json", "diffusion_pytorch_model.safetensors"]);
    for (const component of components) {
      const expected = await componentOf(model, component);
      expect(await componentOf(at("shards"), component)).toEqual(expected);
      expect(await componentOf(at("whole"), component)).toEqual(expected);
    }
  });

  it("becomes F32 and F16 again without a difference", async () => {
    await run(model, at("f32"), { dtype: "f32" });
    await run(at("f32"), at("f16"), { dtype: "f16" });
    for (const component of components) {
      const wide = await componentOf(at("f32"), component);
      const original = await componentOf(model, component);
      expect(await componentOf(at("f16"), component)).toEqual(original);
      for (const [name, what] of Object.entries(original)) {
        expect(wide[name]!.split(" ")[0]).toBe(what.startsWith("F16") ? "F32" : what.split(" ")[0]);
      }
    }
  });

  it("of PyTorch's files becomes one of safetensors, without the other forms of the same weights", async () => {
    mkdirSync(at("in/text_encoder"), { recursive: true });
    mkdirSync(at("in/.git"));
    writeFileSync(at("in/.git/config"), "hidden");
    writeFileSync(at("in/text_encoder/pytorch_model.bin"), torchZip(sample()));
    writeFileSync(at("in/text_encoder/pytorch_model.fp16.bin"), torchZip(sample()));
    writeFileSync(at("in/text_encoder/model.onnx"), "x");
    writeFileSync(at("in/text_encoder/config.json"), "{}");
    writeFileSync(at("in/LICENSE"), "x");
    const { leftOut } = await run(at("in"), at("out"));
    expect(leftOut).toEqual(["text_encoder/model.onnx", "text_encoder/pytorch_model.fp16.bin"]);
    expect(readdirSync(at("out"))).toEqual(["LICENSE", "text_encoder"]);
    expect(readdirSync(at("out/text_encoder"))).toEqual(["config.json", "model.safetensors"]);
    writeFileSync(at("twin.safetensors"), safetensors(sample()));
    expect(await componentOf(at("out"), "text_encoder")).toEqual(await fileOf(at("twin.safetensors")));
  });
});

describe("a single file", () => {
  it("gives the same tensors as its twin in the other format, with what else it says", async () => {
    writeFileSync(at("a.ckpt"), torchZip(sample(), { global_step: int(875000) }));
    writeFileSync(at("a.safetensors"), safetensors(sample(), { global_step: "875000" }));
    await run(at("a.ckpt"), at("torch"));
    await run(at("a.safetensors"), at("st"));
    expect(readdirSync(at("torch"))).toEqual(["model.safetensors"]);
    expect(await fileOf(at("torch/model.safetensors"))).toEqual(await fileOf(at("a.safetensors")));
    const bytes = (path: string) => readFileSync(at(path));
    expect(bytes("torch/model.safetensors").equals(bytes("st/model.safetensors"))).toBe(true);
    const { metadata, tensors } = await openWeights(await fromFile(at("torch/model.safetensors")));
    expect(Object.fromEntries(metadata)).toEqual({ global_step: "875000", format: "pt" });
    expect([...tensors.keys()].filter((name) => name.startsWith("layer"))).toEqual([
      "layer.9.weight",
      "layer.10.weight",
    ]);
  });

  it.each(["pickle_zip", "pickle_legacy"])("of PyTorch gives what PyTorch put into it: %s", async (name) => {
    const golden = join(root, "test/golden/ops");
    await run(join(golden, `${name}.ckpt`), at("out"));
    expect(await fileOf(at("out/model.safetensors"))).toEqual(
      await fileOf(join(golden, "pickle_expected.safetensors")),
    );
  });

  it("changes floating tensors only", async () => {
    writeFileSync(at("a.safetensors"), safetensors(sample()));
    for (const [dtype, expected] of [
      ["f16", "F16"],
      ["f32", "F32"],
      ["bf16", "BF16"],
    ] as const) {
      await run(at("a.safetensors"), at(dtype), { dtype });
      const types = Object.values(await fileOf(at(`${dtype}/model.safetensors`))).map((what) => what.split(" ")[0]);
      expect(types).toEqual([expected, expected, "I64", expected, expected]); // by name: empty, half, ids, layers
    }
  });

  it("becomes the components that a translation makes of it", async () => {
    writeFileSync(at("a.safetensors"), safetensors(sample()));
    const config = { _class_name: "UNet2DConditionModel" };
    await run(at("a.safetensors"), at("out"), {
      translate: async ({ tensors }) => [
        { path: "", tensors: new Map(), json: { "model_index.json": { a: 1 } } },
        { path: "unet", tensors: new Map([["renamed", tensors.get("half")!]]), json: { "config.json": config } },
        { path: "text_encoder", tensors: new Map([["ids", tensors.get("ids")!]]), json: { "config.json": {} } },
      ],
    });
    expect((await filesBelow(at("out"))).map((file) => file.slice(at("out/").length))).toEqual([
      "model_index.json",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "unet/config.json",
      "unet/diffusion_pytorch_model.safetensors",
    ]);
    expect(JSON.parse(readFileSync(at("out/unet/config.json"), "utf8"))).toEqual(config);
    expect(Object.keys(await componentOf(at("out"), "unet"))).toEqual(["renamed"]);
  });
});

describe("a run that breaks off leaves nothing", () => {
  it("where a number does not fit into the type", async () => {
    const far = {
      ...sample(),
      "a.far": { dtype: "F32", shape: [1], bytes: new Uint8Array(Float32Array.of(1e6).buffer) },
    } as const;
    writeFileSync(at("a.safetensors"), safetensors(far));
    await expect(run(at("a.safetensors"), at("out"), { dtype: "f16" })).rejects.toThrow(
      "tensor 'a.far' holds 1000000, which is beyond the range of F16; convert to bf16 or f32",
    );
    expect(readdirSync(folder)).toEqual(["a.safetensors"]);
    await run(at("a.safetensors"), at("out"), { dtype: "bf16" });
  });

  it("where the file ends within a storage", async () => {
    cpSync(model, at("in"), { recursive: true });
    const path = at("in/vae/diffusion_pytorch_model.safetensors");
    writeFileSync(path, readFileSync(path).subarray(0, 100_000));
    await expect(run(at("in"), at("out"))).rejects.toThrow("MetadataIncompleteBuffer");
    expect(readdirSync(folder)).toEqual(["in"]);
  });

  it("where the pickle is malicious", async () => {
    writeFileSync(at("evil.ckpt"), pickle(bytesOf(global("posix", "system"), ")R")));
    await expect(run(at("evil.ckpt"), at("out"))).rejects.toThrow(
      /evil\.ckpt: refused: the pickle asks for posix\.system/,
    );
    expect(readdirSync(folder)).toEqual(["evil.ckpt"]);
  });

  it("where it is interrupted, at any moment", async () => {
    const stages: string[][] = [];
    for (const after of [0, 1, 3, 10]) {
      let waiting = after;
      const stop = new AbortController();
      const watched = new Proxy(stop.signal, {
        get(signal, key) {
          if (key === "throwIfAborted" && waiting-- <= 0) {
            stages.push(readdirSync(folder));
            stop.abort(new Error("cancelled"));
          }
          const value: unknown = Reflect.get(signal, key, signal);
          return typeof value === "function" ? value.bind(signal) : value;
        },
      });
      vi.spyOn(AbortSignal, "any").mockImplementation((signals) => [...signals].at(-1)!);
      await expect(convert(model, at("out"), {}, watched)).rejects.toThrow("cancelled");
      vi.restoreAllMocks();
      expect(readdirSync(folder), `after ${after}`).toEqual([]);
    }
    expect(stages.flat().length).toBeGreaterThan(0); // something had been written by then
  });
});

describe("bad input", () => {
  it.each<[string, () => [string, string], RegExp]>([
    [
      "nothing to convert",
      () => [at("nowhere"), at("out")],
      /nowhere: expected a file of weights or a folder, it does not exist$/,
    ],
    ["a folder that is taken", () => [model, folder], /: expected a new or an empty folder, it holds files$/],
    ["a file in the way", () => [model, at("file")], /file: expected a new folder, it is a file$/],
    [
      "a place that does not exist",
      () => [model, at("no/where")],
      /: expected a place in an existing folder, '.*no' is none$/,
    ],
    [
      "a folder without weights",
      () => [join(root, "src/cli"), at("out")],
      /: expected a model in diffusers layout, it holds no weights/,
    ],
    [
      "no file of weights",
      () => [join(root, "package.json"), at("out")],
      /package\.json: neither safetensors .* nor a checkpoint of torch\.save/,
    ],
  ])("%s", async (_, paths, message) => {
    writeFileSync(at("file"), "x");
    const [input, output] = paths();
    await expect(run(input, output)).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("takes an empty folder", async () => {
    mkdirSync(at("out"));
    await run(model, at("out/"));
    expect(existsSync(at("out/unet/config.json"))).toBe(true);
  });
});

describe("a single file", () => {
  const { unet, firstStage, stage } = published["Stable Diffusion 2"]!;
  const tensors = unread(
    under("model.diffusion_model.", unetShapes(unet)),
    under("first_stage_model.", firstStageShapes(firstStage)),
    under("cond_stage_model.", stage!),
  );

  it.each([
    ["of which something is assumed", new Map<string, string>(), [expect.stringMatching(/taken for a model of v/)]],
    ["of which nothing is", new Map([["modelspec.prediction_type", "v"]]), []],
  ])("%s is converted with what there is to be said", async (_, metadata, said) => {
    const notes: string[] = [];
    const translate = await translation({}, (text) => notes.push(text));
    expect(await translate({ tensors, metadata, format: "safetensors" })).toBeDefined();
    expect(notes).toEqual(said);
  });
});

describe("the size of shards", () => {
  it.each([
    ["512MB", 512e6],
    ["1.5 GiB", 1.5 * 2 ** 30],
    ["100mb", 100e6],
    ["2000000", 2e6],
    ["1024 KiB", 2 ** 20],
  ])("%s", (text, bytes) => {
    expect(sizeOption("--shard-size")(text)).toBe(bytes);
  });

  it.each(["", "MB", "0", "-5MB", "5 MBit", "999999", "1e9", "999999999999GB"])("not %s", (text) => {
    expect(() => sizeOption("--shard-size")(text)).toThrow(
      `--shard-size: expected at least 1MB, such as 512MB or 2GiB, got '${text}'`,
    );
  });
});

describe("the command", () => {
  const parse = async (...args: string[]) => {
    const outcome = { status: -1 };
    await (await buildProgram(outcome, never)).parseAsync(["node", "webldm", "convert", ...args]);
    return outcome.status;
  };

  it("passes its options on", async () => {
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    expect(await parse(model, at("out"), "--dtype", "f32", "--shard-size", "1MB", "--json")).toBe(0);
    vi.restoreAllMocks();
    const types = Object.values(await componentOf(at("out"), "unet")).map((what) => what.split(" ")[0]);
    expect(new Set(types)).toEqual(new Set(["F32"]));
    expect(readdirSync(at("out/unet"))).toContain("diffusion_pytorch_model.safetensors.index.json");
  });

  it.each<[string, string[], RegExp]>([
    ["an unknown type", [model, "out", "--dtype", "f8"], /'f8' is invalid. Allowed choices are f16, f32, bf16/],
    ["a size that is none", [model, "out", "--shard-size", "big"], /^--shard-size: expected at least 1MB/],
    ["no output", [model], /missing required argument 'output'/],
  ])("refuses %s", async (_, args, message) => {
    await expect(parse(...args)).rejects.toThrow(message);
  });
});
