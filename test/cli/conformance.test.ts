import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Result } from "../../src/cli/conformance/case.js";
import { compareExactly, compareFloats, worst } from "../../src/cli/conformance/compare.js";
import { discover } from "../../src/cli/conformance/discover.js";
import { Lab } from "../../src/cli/conformance/lab.js";
import { samplerLimit } from "../../src/cli/conformance/limits.js";
import { exitStatus, resultJson } from "../../src/cli/conformance/report.js";
import { runCase } from "../../src/cli/conformance/run.js";
import { channelsFirst, channelsLast, transpose } from "../../src/cli/conformance/values.js";
import { parsePythonJson } from "../../src/core/json.js";
import { Device } from "../../src/gpu/device.js";
import { openAdapter, testDevices } from "../harness/adapters.js";
import { changeTensor, copyGolden, nudge, scale } from "./tamper.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-conformance-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const opIds = ["conv2d.00", "softmax.00"];
const inputs = [
  "unet/sd1.config.json",
  "unet/sd1.weights.safetensors",
  "unet/sd1.c3.io.safetensors",
  "vae/kl.config.json",
  "vae/kl.weights.safetensors",
  "vae/kl.c1.io.safetensors",
  "clip/sd1.config.json",
  "clip/sd1.weights.safetensors",
  "clip/sd1.c1.io.safetensors",
  "ldm/sd-diffusers",
  "ldm/sd-diffusers.io.safetensors",
  "index.json",
  "ops",
  "samplers/diffusers.json",
  "samplers/diffusers.safetensors",
];

/** The file behind a case, and a result in it. */
const results: readonly [string, string, string][] = [
  ["ops/conv2d.00", "ops/ops.safetensors", "conv2d.00.out"],
  ["unet/sd1.c3", "unet/sd1.c3.io.safetensors", "out.sample"],
  ["vae/kl.c1", "vae/kl.c1.io.safetensors", "out.reconstruction"],
  ["vae/kl.c1", "vae/kl.c1.io.safetensors", "out.std"],
  ["clip/sd1.c1", "clip/sd1.c1.io.safetensors", "out.hidden_states.1"],
  ["samplers/diffusers/000.DDIMScheduler", "samplers/diffusers.safetensors", "000.DDIMScheduler.x"],
  ["ldm/sd-diffusers:ddim", "ldm/sd-diffusers.io.safetensors", "out.ddim.latent"],
  ["ldm/sd-diffusers:ddim", "ldm/sd-diffusers.io.safetensors", "out.ddim.image"],
];

// One adapter will do; the software driver with f16 where there is one.
const adapter = testDevices.filter(({ missing }) => !missing).sort((a, b) => Number(b.hasF16) - Number(a.hasF16))[0];
const reason = adapter ? "" : " [no adapter]";

describe.skipIf(!adapter)(`results that were tampered with${reason}`, () => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open({ adapter: (await openAdapter(adapter!.name))! });
    copyGolden(folder, inputs);
    const path = join(folder, "ops/ops.json");
    const kept = (JSON.parse(readFileSync(path, "utf8")) as { id: string }[]).filter(({ id }) => opIds.includes(id));
    writeFileSync(path, JSON.stringify(kept));
  });
  afterAll(() => device?.dispose());

  async function run(name: string, precision: "f32" | "f16" = "f32"): Promise<Result> {
    const one = (await discover(folder)).find((candidate) => candidate.name === name);
    const lab = new Lab(device, precision);
    const result = await runCase(one!, lab);
    lab.dispose();
    return result;
  }

  /** Runs with a file changed, and puts the file back. */
  async function runChanged(name: string, file: string, change: (path: string) => unknown, precision?: "f32" | "f16") {
    const path = join(folder, file);
    const before = readFileSync(path);
    try {
      await change(path);
      return await run(name, precision);
    } finally {
      writeFileSync(path, before);
    }
  }

  it.each(results)("%s in %s: %s, with one element a hundredth off, fails in f32", async (name, file, tensor) => {
    const changed = await runChanged(name, file, (path) => changeTensor(path, tensor, nudge));
    expect(changed).toMatchObject({ case: name, status: "fail", metric: "max" });
    expect(changed.tensor).toContain(tensor.startsWith("out.") ? tensor : tensor.split(".").at(-1));
    expect(changed.value).toBeGreaterThan(0.005);
    expect(await run(name)).toMatchObject({ case: name, status: "pass" });
  });

  it.skipIf(!adapter?.hasF16).each(results)(
    "%s in %s: %s, two hundredths too large, fails in f16",
    async (name, file, tensor) => {
      const changed = await runChanged(name, file, (path) => changeTensor(path, tensor, scale), "f16");
      expect(changed).toMatchObject({ case: name, status: "fail" });
      if (!name.startsWith("samplers/")) expect(["gain", "l2"]).toContain(changed.metric);
      expect(await run(name, "f16")).toMatchObject({ case: name, status: "pass" });
    },
  );

  it("names what is missing from a file, and what is no number", async () => {
    const io = "unet/sd1.c3.io.safetensors";
    const removed = await runChanged("unet/sd1.c3", io, (path) => changeTensor(path, "in.sample", "remove"));
    expect(removed).toMatchObject({ status: "fail", reason: expect.stringContaining("lacks the tensor in.sample") });
    const noResult = await runChanged("unet/sd1.c3", io, (path) => changeTensor(path, "out.sample", "remove"));
    expect(noResult).toMatchObject({ status: "fail", reason: expect.stringContaining("lacks the tensor out.sample") });
    const cut = await runChanged("unet/sd1.c3", io, (path) => truncateSync(path, 1000));
    expect(cut).toMatchObject({ status: "fail", reason: expect.stringContaining("MetadataIncompleteBuffer") });
    const poisoned = await runChanged("unet/sd1.c3", io, (path) =>
      changeTensor(path, "in.sample", (data) => data.fill(Number.NaN, 0, 1)),
    );
    expect(poisoned).toMatchObject({ status: "fail", reason: expect.stringContaining("is NaN") });
    expect(JSON.parse(resultJson(poisoned))).toMatchObject({ value: null });
  });

  it("names weights that are missing or have another shape", async () => {
    const weights = "unet/sd1.weights.safetensors";
    const without = await runChanged("unet/sd1.c3", weights, (path) => changeTensor(path, "conv_in.bias", "remove"));
    expect(without).toMatchObject({ status: "fail", reason: expect.stringContaining("conv_in.bias is missing") });
    const config = await runChanged("unet/sd1.c3", "unet/sd1.config.json", (path) => {
      const json = JSON.parse(readFileSync(path, "utf8")) as object;
      writeFileSync(path, JSON.stringify({ ...json, addition_embed_type: "text_time" }));
    });
    expect(config).toMatchObject({ status: "unsupported", reason: expect.stringContaining("addition_embed_type") });
    const broken = await runChanged("unet/sd1.c3", "unet/sd1.config.json", (path) => writeFileSync(path, "{"));
    expect(broken).toMatchObject({ status: "fail", reason: expect.stringContaining("sd1.config.json") });
  });

  it("fails a whole loop of other steps", async () => {
    const other = await runChanged("ldm/sd-diffusers:ddim", "index.json", (path) => {
      const json = JSON.parse(readFileSync(path, "utf8")) as Record<string, { diffusers_pipeline: { steps: number } }>;
      json["ldm/sd"]!.diffusers_pipeline.steps = 5;
      writeFileSync(path, JSON.stringify(json));
    });
    expect(other).toMatchObject({ status: "fail", metric: "max" });
  });
});

describe("comparing", () => {
  const limit = { f32: 1e-5, f16: 0.5 };
  const values = (...data: number[]) => ({ shape: [data.length], data });

  it("takes the largest error by the largest value in f32, the norms in f16", () => {
    expect(worst(compareFloats("y", values(1, 2, 3.5), values(1, 2, 4), limit, "f32"))!.value).toBeCloseTo(0.125);
    const [l2, gain] = compareFloats("y", values(3, 4.5), values(3, 4), limit, "f16");
    expect(l2).toMatchObject({ metric: "l2", limit: 0.5 });
    expect(l2!.value).toBeCloseTo(0.1);
    expect(gain!.value).toBeCloseTo(27 / 25 - 1);
  });

  it("holds what has no f16 form to the f32 limit", () => {
    expect(compareFloats("y", values(1), values(1), samplerLimit(undefined), "f16")).toMatchObject([
      { metric: "max", limit: 1e-5 },
    ]);
    expect(samplerLimit(5e-5).f32).toBeCloseTo(1e-3);
  });

  it("fails what is no number, or has another shape", () => {
    expect(compareFloats("y", values(Number.NaN), values(1), limit, "f32")[0]).toMatchObject({
      reason: "element 0 is NaN",
    });
    expect(compareFloats("y", values(1, 2), values(1), limit, "f32")[0]).toMatchObject({
      reason: "shape is [2], expected [1]",
    });
    expect(compareExactly("ids", values(1, 2), values(1, 3))).toMatchObject({
      value: 1,
      reason: "element 1 is 2, expected 3",
    });
    const checks = [
      compareExactly("a", values(1), values(1)),
      ...compareFloats("b", values(Number.NaN), values(1), limit, "f32"),
    ];
    expect(worst(checks)!.tensor).toBe("b");
  });

  it("ends with 1 when something fails, 3 when something cannot run, else 0", () => {
    expect(exitStatus({ pass: 1, fail: 1, unsupported: 1 })).toBe(1);
    expect(exitStatus({ pass: 1, fail: 0, unsupported: 1 })).toBe(3);
    expect(exitStatus({ pass: 1, fail: 0, unsupported: 0 })).toBe(0);
  });

  it("orders axes", () => {
    const x = { shape: [1, 2, 2, 3], data: [...Array(12).keys()] };
    expect([...Array.from(channelsLast(x).data)]).toEqual([0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
    expect(channelsLast(x).shape).toEqual([1, 2, 3, 2]);
    expect([...Array.from(channelsFirst(channelsLast(x)).data)]).toEqual(x.data);
    expect(transpose({ shape: [2, 3], data: [0, 1, 2, 3, 4, 5] }, [1, 0])).toMatchObject({ shape: [3, 2] });
  });

  it("reads the JSON of Python", () => {
    expect(parsePythonJson('{"a": -Infinity, "b": NaN, "c": "NaN \\" Infinity"}')).toEqual({
      a: Number.NEGATIVE_INFINITY,
      b: null,
      c: 'NaN " Infinity',
    });
  });
});
