import { cpSync, existsSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import sirv from "sirv";
import { describe, expect, it } from "vitest";
import { root } from "../harness/source.js";
import { cliDevice, useCli } from "./useCli.js";

const { folder, run } = useCli();
const sticker = join(root, "weights/sticker");
const reason = existsSync(sticker) ? "" : " [weights/sticker is not there]";
const noAdapter = { WEBLDM_ADAPTER: "no such adapter" };

interface Estimated {
  readonly weights: number;
  readonly intermediates: number;
  readonly download: number;
  readonly components: readonly { readonly name: string; readonly bytes: number }[];
}

describe.skipIf(reason !== "")(`estimate${reason}`, () => {
  const estimated = async (args: readonly string[]): Promise<Estimated> => {
    const { status, stdout, errors } = await run(["estimate", ...args, "--json"], { env: noAdapter });
    expect({ status, errors }).toEqual({ status: 0, errors: [] });
    return JSON.parse(stdout) as Estimated;
  };

  it("needs no adapter, and grows with what is asked", async () => {
    const half = await estimated([sticker]);
    expect(half).toMatchObject({ model: sticker, dtype: "f16", images: 1 });
    expect(half.components.map(({ name }) => name)).toEqual(["conditioner", "unet", "decoder"]);
    expect(half.components.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(half.weights);
    const full = await estimated([sticker, "--dtype", "f32"]);
    expect(full.weights).toBeGreaterThan(1.9 * half.weights);
    const wide = await estimated([sticker, "--width", "512", "--height", "256", "--images", "2"]);
    expect(wide).toMatchObject({ width: 512, height: 256, images: 2, weights: half.weights });
    expect(wide.intermediates).toBeGreaterThan(2 * half.intermediates);
  });

  it("tells it in a table", async () => {
    const { stdout } = await run(["estimate"], { env: noAdapter });
    const lines = stdout.trim().split("\n");
    expect(lines[0]).toMatch(/^sticker: a picture of \d+ x \d+ in f16$/);
    const names = ["to read", "weights", "  conditioner", "  unet", "  decoder", "intermediates", "largest buffer"];
    for (const [i, name] of names.entries()) {
      expect(lines[i + 1]).toMatch(new RegExp(`^${name} +[\\d,]+ bytes +[\\d.]+ MiB$`));
    }
    expect(lines).toHaveLength(names.length + 1);
  });

  it("refuses a size that the model cannot draw", async () => {
    const { status, errors } = await run(["estimate", "--width", "129"], { env: noAdapter });
    expect(status).toBe(2);
    expect(errors).toEqual([expect.stringMatching(/^webldm: width: expected a multiple of /)]);
  });

  it.skipIf(!cliDevice)("asks the adapter where it is told to", async () => {
    const { status, stdout } = await run(["estimate", "--check", "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ fits: true, adapter: expect.any(String) });
  });

  it.skipIf(cliDevice?.name !== "lavapipe")("plans for the forms of the adapter that it asks", async () => {
    const unknown = await estimated([sticker]);
    const { stdout } = await run(["estimate", "--check", "--json"]);
    const asked = JSON.parse(stdout) as Estimated;
    expect(asked.weights).toBe(unknown.weights);
    expect(asked.intermediates).toBeLessThan(unknown.intermediates); // on a CPU no shares of sums are kept
  });
});

describe.skipIf(reason !== "")(`a model on a hub${reason}`, () => {
  it("is found by its name, fetched once, and there without the hub", async () => {
    const repository = join(folder, "hub/someone/sticker/resolve/main");
    cpSync(sticker, repository, { recursive: true });
    const hub = createServer(sirv(join(folder, "hub"), { dev: true }));
    await new Promise<void>((done) => hub.listen(0, "127.0.0.1", done));
    const host = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`;
    const env = { WEBLDM_CACHE: join(folder, "cache") };
    const small = ["--steps", "1", "--width", "32", "--height", "32", "--seed", "1", "--json"];
    const model = ["--model", "someone/sticker", "--host", host];
    const estimate = await run(["estimate", "someone/sticker", "--host", host, "--json"], { env });
    expect(estimate).toMatchObject({ status: 0, errors: [] });
    const weights = readdirSync(repository, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".safetensors"))
      .reduce((sum, name) => sum + statSync(join(repository, name)).size, 0);
    expect((JSON.parse(estimate.stdout) as Estimated).download).toBe(weights);
    if (cliDevice) {
      const first = await run(["generate", "a fox", ...model, ...small, "--out", "first.png"], { env });
      expect(first).toMatchObject({ status: 0, errors: [] });
    }
    await new Promise<void>((done) => {
      hub.close(() => done());
      hub.closeAllConnections();
    });
    if (!cliDevice) return;
    const second = await run(["generate", "a fox", ...model, ...small, "--out", "second.png"], { env });
    expect(second).toMatchObject({ status: 0, errors: [] });
    const unknown = await run(["generate", "a fox", "--model", "someone/else", "--host", host], { env });
    expect(unknown.status).toBe(2);
    expect(unknown.errors).toHaveLength(1);
  }, 120_000);
});
