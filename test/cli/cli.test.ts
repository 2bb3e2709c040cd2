import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decode } from "fast-png";
import { beforeAll, describe, expect, it } from "vitest";
import { dawnOptions } from "../../src/cli/dawn.js";
import { root } from "../harness/source.js";
import { changeTensor, copyGolden, nudge } from "./tamper.js";
import { cliDevice, type Ended, useCli } from "./useCli.js";

const { folder, run } = useCli();
const sticker = join(root, "weights/sticker");

const noGpu = cliDevice ? "" : " [no adapter]";
const noModel = existsSync(sticker) ? noGpu : " [weights/sticker is not there]";

describe("bad input ends with 2 and one line", () => {
  it.each<[string, string[], string]>([
    ["no command", [], "expected a command"],
    ["an unknown command", ["paint"], "unknown command 'paint'"],
    ["an unknown option", ["generate", "a", "--foo"], "unknown option '--foo'"],
    ["no prompt", ["generate"], "prompt: this model is conditioned on a text, got none"],
    ["an empty prompt", ["generate", " "], "prompt: expected 1 to "],
    ["no steps", ["generate", "a", "--steps", "0"], "steps: expected an integer from 1 to 1000, got 0"],
    ["too many steps", ["generate", "a", "--steps", "1000000"], "got 1000000"],
    ["half a step", ["generate", "a", "--steps", "1.5"], "got 1.5"],
    ["guidance that is no number", ["generate", "a", "--guidance", "NaN"], "--guidance: expected a number, got 'NaN'"],
    ["endless guidance", ["generate", "a", "--guidance", "Infinity"], "guidance: expected a number from 0 to"],
    ["a negative seed", ["generate", "a", "--seed", "-1"], "seed: expected an integer from 0"],
    ["no memory", ["generate", "a", "--memory-budget", "0"], "--memory-budget: expected at least 1MB"],
    ["too little memory", ["estimate", "--width", "256", "--memory-budget", "2MB"], "the budget is 2000000"],
    ["a width that is no number", ["generate", "a", "--width", "wide"], "--width: expected a number, got 'wide'"],
    ["a huge width", ["generate", "a", "--width", "100000"], "width: expected a multiple"],
    ["an unknown type", ["generate", "a", "--dtype", "f64"], "f64"],
    [
      "an unknown model",
      ["generate", "a", "--model", "nowhere"],
      "nowhere: expected a model's folder or file, an address or a hub name (owner/name)",
    ],
    [
      "a file that is not there",
      ["generate", "a", "--model", "models/a.safetensors"],
      "models/a.safetensors: expected a model's",
    ],
    [
      "no vocabulary",
      ["generate", "a", "--tokenizer", "nowhere"],
      "--tokenizer: expected a folder, 'nowhere' does not",
    ],
    ["no folder for a batch", ["batch", "jobs.jsonl"], "required option '--out <folder>' not specified"],
    ["no jobs", ["batch", "nothing.jsonl", "--out", "out"], "nothing.jsonl: expected a file with a job a line"],
    ["no picture", ["img2img", "nothing.png", "a"], "nothing.png: expected a picture, it does not exist"],
    ["a shell nobody knows", ["completion", "csh"], "csh"],
    ["no repeats", ["bench", "--repeats", "0"], "repeats: expected an integer from 1 to 1000, got 0"],
    ["an unknown place", ["generate", "a", "--out", "nowhere/a.png"], "--out: expected a file in an existing folder"],
    ["a folder as a file", ["generate", "a", "--out", "."], "--out: expected a file name"],
    ["no name for a file", ["generate", "a", "--out", ""], "--out: expected a file name, got an empty text"],
    ["nothing to inspect", ["inspect", "nothing.safetensors"], "it does not exist"],
    ["a folder without cases", ["conformance", "."], "it holds no cases"],
    ["no such folder", ["conformance", "nowhere"], "nowhere: expected a folder of reference data, it does not exist"],
    ["an impossible port", ["serve", "--port", "70000"], "port: expected 0 to 65535, got 70000"],
  ])("%s", async (_, args, message) => {
    const { status, stdout, errors } = await run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^webldm: /);
    expect(errors[0]).toContain(message);
  });

  it("a folder within a file", async () => {
    writeFileSync(join(folder, "one.jsonl"), "{}\n");
    const { status, stdout, errors } = await run(["batch", "one.jsonl", "--out", "one.jsonl/out"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(errors).toEqual([expect.stringMatching(/^webldm: ENOTDIR: .*one\.jsonl.out/)]);
  });

  it("a layout for a model of texts, whatever editor wrote it", async () => {
    writeFileSync(join(folder, "layout.json"), '\uFEFF[{"category": 1, "box": [0, 0, 1, 1]}]');
    const { status, errors } = await run(["generate", "a", "--objects", "layout.json"]);
    expect(status).toBe(2);
    expect(errors).toEqual(["webldm: objects: this model is conditioned on a text"]);
  });

  it.skipIf(!existsSync(sticker))("no adapter", async () => {
    const { status, errors } = await run(["generate", "a"], { env: { WEBLDM_ADAPTER: "no such adapter" } });
    expect(status).toBe(2);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^webldm: no WebGPU adapter: expected one named no such adapter/);
  });
});

describe("help", () => {
  it("tells the version", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect(await run(["--version"])).toEqual({ status: 0, stdout: `${version}\n`, errors: [] });
  });

  it("shows examples and what the exit status means", async () => {
    const { status, stdout } = await run(["--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain('webldm generate "a lighthouse at dusk"');
    expect(stdout).toContain("Exit status: 0 done, 1 failure, 2 bad input, 3");
  });

  it("splits Dawn's options, whose values hold commas", () => {
    expect(dawnOptions("enable-dawn-features=a,b disable-dawn-features=c,d,backend=null")).toEqual([
      "enable-dawn-features=a,b",
      "disable-dawn-features=c,d",
      "backend=null",
    ]);
    expect(dawnOptions(undefined)).toEqual([]);
  });
});

describe("inspect", () => {
  const file = join(root, "test/golden/unet/sd1.c3.io.safetensors");

  it("lists the tensors of a file", async () => {
    const { status, stdout } = await run(["inspect", file]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^out\.sample +F32 +\[1, 4, 8, 8\] +1,024 bytes$/m);
    expect(stdout.trim().split("\n").at(-1)).toMatch(/^4 tensors, 545 parameters, [\d,]+ bytes$/);
    const json = JSON.parse((await run(["inspect", file, "--json"])).stdout) as { tensors: unknown[] };
    expect(json.tensors).toContainEqual({ name: "out.sample", dtype: "F32", shape: [1, 4, 8, 8], bytes: 1024 });
  });

  it("adds up a folder", async () => {
    const { stdout } = await run(["inspect", join(root, "test/golden/ldm"), "--json"]);
    const { files, totals } = JSON.parse(stdout) as { files: { file: string }[]; totals: { tensors: number } };
    expect(files.map((entry) => entry.file)).toContain("sd-diffusers/unet/diffusion_pytorch_model.safetensors");
    expect(totals.tensors).toBeGreaterThan(400);
  });

  it("names the file that was cut off", async () => {
    const cut = join(folder, "cut.safetensors");
    writeFileSync(cut, readFileSync(file).subarray(0, 1000));
    const { status, errors } = await run(["inspect", cut]);
    expect(status).toBe(2);
    expect(errors).toEqual([expect.stringContaining("cut.safetensors: MetadataIncompleteBuffer")]);
  });
});

describe.skipIf(!cliDevice)(`conformance${noGpu}`, () => {
  const data = join(folder, "data");
  const file = join(data, "unet/sd1.c3.io.safetensors");
  const command = ["conformance", data, "--json"];
  const lines = ({ stdout }: Ended) =>
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { case: string; status: string });

  beforeAll(() => {
    copyGolden(data, ["unet/sd1.config.json", "unet/sd1.weights.safetensors", "unet/sd1.c3.io.safetensors"]);
  });

  it("ends with 0 when everything passes, with 3 when something cannot run, with 1 when something fails", async () => {
    const passed = await run(command);
    expect(passed.status).toBe(0);
    expect(lines(passed)).toMatchObject([
      { case: "unet/sd1.c3", kind: "unet", metric: "max", limit: 2e-5, status: "pass", tensor: "out.sample" },
    ]);
    expect(passed.errors.at(-1)).toMatch(/^1 cases: 1 passed, 0 failed, 0 unsupported/);

    const config = JSON.parse(readFileSync(join(data, "unet/sd1.config.json"), "utf8")) as object;
    const other = { ...config, _class_name: "UNet2DModel" };
    writeFileSync(join(data, "unet/other.config.json"), JSON.stringify(other));
    cpSync(file, join(data, "unet/other.c0.io.safetensors"));
    cpSync(join(data, "unet/sd1.weights.safetensors"), join(data, "unet/other.weights.safetensors"));
    const mixed = await run(command);
    expect(mixed.status).toBe(3);
    expect(lines(mixed).map(({ status }) => status)).toEqual(["unsupported", "pass"]);
    expect((await run([...command, "--filter", "sd1"])).status).toBe(0);
    expect((await run([...command, "--filter", "nothing"])).status).toBe(2);

    await changeTensor(file, "out.sample", nudge);
    const failed = await run(command);
    expect(failed.status).toBe(1);
    expect(lines(failed).map(({ status }) => status)).toEqual(["unsupported", "fail"]);
  });
});

describe.skipIf(!cliDevice || !existsSync(sticker))(`generate${noModel}`, () => {
  const minutes = 60_000;

  it(
    "draws a picture and tells how",
    async () => {
      const { status, stdout, errors } = await run([
        "generate",
        "a red fox é 狐",
        "--steps",
        "2",
        "--seed",
        "7",
        "--json",
      ]);
      expect({ status, errors }).toEqual({ status: 0, errors: [] });
      const summary = JSON.parse(stdout) as Record<string, unknown>;
      expect(summary).toMatchObject({ file: "a-red-fox-é-狐-7.png", steps: 2, seed: 7, adapter: expect.any(String) });
      const picture = decode(readFileSync(join(folder, String(summary["file"]))));
      expect(picture).toMatchObject({ width: summary["width"], height: summary["height"], channels: 3 });
      expect(picture.text).toMatchObject({ prompt: "a red fox é \\u72d0", seed: "7", steps: "2", model: "sticker" });
      const again = await run(["generate", "a red fox é 狐", "--steps", "2", "--seed", "7"]);
      expect(again.stdout).toMatch(/^a-red-fox-é-狐-7-2\.png: /);
      const pixels = (name: string) => Buffer.from(decode(readFileSync(join(folder, name))).data.buffer);
      expect(pixels("a-red-fox-é-狐-7-2.png").equals(pixels("a-red-fox-é-狐-7.png"))).toBe(true);
    },
    20 * minutes,
  );

  it(
    "draws from pictures: anew, under a mask, beyond the borders, in batches",
    async () => {
      const sampling = ["--steps", "2", "--seed", "7"];
      const small = ["--width", "32", "--height", "32"];
      const read = (name: string) => decode(readFileSync(join(folder, name)));
      const batch = await run([
        "generate",
        "a fox",
        ...sampling,
        ...small,
        "--images",
        "2",
        "--out",
        "fox.png",
        "--json",
      ]);
      expect(batch).toMatchObject({ status: 0, errors: [] });
      expect(JSON.parse(batch.stdout)).toMatchObject({ files: ["fox-1.png", "fox-2.png"], seed: 7, width: 32 });
      expect([read("fox-1.png"), read("fox-2.png")].map(({ text }) => text["seed"])).toEqual(["7", "8"]);

      const runs: [string[], [number, number], string[]][] = [
        [["img2img", "fox-1.png", "a red fox", "--strength", "0.5"], [32, 32], []],
        [
          ["img2img", "fox-1.png", "a fox", "--width", "40"],
          [40, 40],
          ["webldm: fox-1.png: resized from 32 x 32 to 40 x 40 (as asked)"],
        ],
        [["inpaint", "fox-1.png", "fox-2.png", "a dog", "--no-composite"], [32, 32], []],
        [["outpaint", "fox-1.png", "a wood", "--left", "8", "--bottom", "16"], [40, 48], []],
      ];
      for (const [args, [width, height], notes] of runs) {
        const ended = await run([...args, ...sampling, "--out", "drawn.png"]);
        expect(ended).toMatchObject({ status: 0, errors: notes });
        expect(ended.stdout).toMatch(new RegExp(`^drawn\\.png: ${width} x ${height}, \\d steps, seed 7, `));
        expect(read("drawn.png")).toMatchObject({ width, height });
      }
    },
    20 * minutes,
  );

  it(
    "measures how fast it draws",
    async () => {
      const small = ["--width", "32", "--height", "32", "--steps", "2", "--repeats", "2"];
      const { status, stdout, errors } = await run(["bench", ...small, "--json"]);
      expect({ status, errors }).toEqual({ status: 0, errors: [] });
      const { milliseconds, ...result } = JSON.parse(stdout) as { milliseconds: Record<string, number> };
      expect(result).toMatchObject({ model: "sticker", width: 32, height: 32, steps: 2, repeats: 2 });
      const { picture, sampling, step, decode, first, load } = milliseconds;
      for (const time of [picture, sampling, step, decode, first, load]) expect(time).toBeGreaterThan(0);
      expect(Math.abs(sampling! + decode! - picture!)).toBeLessThan(0.2);
      expect(Math.abs(step! * 2 - sampling!)).toBeLessThan(0.2);
    },
    5 * minutes,
  );

  it(
    "warns of a prompt that does not fit",
    async () => {
      const { status, stdout, errors } = await run([
        "generate",
        "a fox ".repeat(100),
        "--steps",
        "1",
        "--json",
        "--out",
        "long.png",
      ]);
      expect(status).toBe(0);
      expect(errors).toEqual([expect.stringMatching(/^webldm: warning: the prompt has 200 tokens/)]);
      expect(JSON.parse(stdout)).toMatchObject({ file: "long.png", warnings: [expect.any(String)] });
    },
    20 * minutes,
  );

  it(
    "refuses a size that the model cannot draw",
    async () => {
      const { status, errors } = await run(["generate", "a fox", "--width", "129"]);
      expect(status).toBe(2);
      expect(errors).toEqual([expect.stringMatching(/^webldm: width: expected a multiple of \d+ .*, got 129$/)]);
    },
    5 * minutes,
  );

  it(
    "names the weights that were cut off",
    async () => {
      const copy = join(folder, "cut-model");
      cpSync(sticker, copy, { recursive: true });
      const path = join(copy, "vae/diffusion_pytorch_model.safetensors");
      writeFileSync(path, readFileSync(path).subarray(0, 100_000));
      const { status, errors } = await run(["generate", "a fox", "--model", copy]);
      expect(status).toBe(2);
      expect(errors).toEqual([
        expect.stringMatching(/^webldm: .*vae\/diffusion_pytorch_model\.safetensors: MetadataIncompleteBuffer/),
      ]);
    },
    5 * minutes,
  );

  it(
    "stops when interrupted, and leaves no file",
    async () => {
      const before = readdirSync(folder);
      const child = await run(["generate", "a fox", "--steps", "900", "--seed", "1"], { interruptAfter: 3000 });
      expect(child).toMatchObject({ status: 130, stdout: "", errors: ["webldm: cancelled"] });
      expect(readdirSync(folder)).toEqual(before);
    },
    20 * minutes,
  );
});
