// Tuning as a model is loaded with it: what is kept, and what pictures say of it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createEngine, type Engine, type LoadOptions, type TuneProgress, type TuningTable } from "../../src/index.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { adapterOf, tuneModel } from "../../src/pipeline/tuned.js";
import { measured } from "../../src/tuning/measured.js";
import { tableOf } from "../../src/tuning/table.js";
import { folderFromPath } from "../../src/weights/node.js";
import { describeOneAdapter, openAdapter } from "../harness/adapters.js";

const cacheFolder = mkdtempSync(join(tmpdir(), "webldm-tuning-"));
const before = process.env["WEBLDM_CACHE"];
beforeAll(() => {
  process.env["WEBLDM_CACHE"] = cacheFolder;
});
afterAll(() => {
  if (before === undefined) delete process.env["WEBLDM_CACHE"];
  else process.env["WEBLDM_CACHE"] = before;
  rmSync(cacheFolder, { recursive: true, force: true });
});

const size = { width: 64, height: 64, guidance: 1 };
const request = { ...size, prompt: "a red apple", seed: 1, steps: 2 };

describeOneAdapter("tuning a model", ({ name }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ adapter: (await openAdapter(name))! });
  });
  afterAll(() => engine.dispose());

  const draw = async (options: LoadOptions) => {
    const model = await engine.load(await folderFromPath("weights/sticker"), options);
    const picture = await model.textToImage(request);
    const { tuning } = model;
    model.dispose();
    return { picture, tuning };
  };

  it("measures once, keeps the table, and marks pictures with its id", async () => {
    const news: TuneProgress[] = [];
    const tune = { ...size, seconds: 60, onProgress: (progress: TuneProgress) => void news.push(progress) };
    const first = await draw({ tune });
    expect(news.at(-1)!.done).toBe(news.at(-1)!.total);
    expect(first.tuning!.adapter).toBe(adapterOf(engine.device));
    expect(Object.keys(first.tuning!.entries).length).toBeGreaterThan(5);
    expect(first.picture.tuning).toBe(first.tuning!.id);

    const told = news.length;
    const second = await draw({ tune });
    expect(news.length).toBe(told); // nothing was left to measure
    expect(second.tuning).toEqual(first.tuning);
    expect(second.picture.pixels).toEqual(first.picture.pixels);
  });

  it("gives the same bytes with the same table, and those of no table where it names usual forms", async () => {
    const plain = await draw({});
    expect(plain).toMatchObject({ tuning: undefined, picture: { tuning: "" } });
    const checkpoint = await openCheckpoint(await folderFromPath("weights/sticker"));
    const measured = await tuneModel(engine.device, engine.dtype, checkpoint, { ...size, seconds: 60 });
    const { entries } = measured.table;
    const norms = Object.keys(entries).filter((key) => key.startsWith("groupNorm"));
    const table = (form: string): TuningTable => tableOf("any", Object.fromEntries(norms.map((key) => [key, form])));
    const chunked = await draw({ tuning: table("chunked") });
    expect(chunked.picture.tuning).toBe(table("chunked").id);
    expect((await draw({ tuning: table("chunked") })).picture.pixels).toEqual(chunked.picture.pixels);
    const usual = await draw({ tuning: table("usual") });
    expect(usual.picture.pixels).toEqual(plain.picture.pixels);
    // Rounding differs, the picture does not.
    const differences = chunked.picture.pixels.map((value, i) => Math.abs(value - plain.picture.pixels[i]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(16);
  });

  it("takes a table of the package without measuring", async () => {
    const known = measured.find(({ adapter }) => adapter === adapterOf(engine.device));
    const checkpoint = await openCheckpoint(await folderFromPath("weights/sticker"));
    const { table } = await tuneModel(engine.device, engine.dtype, checkpoint, { seconds: 0 });
    expect(table.entries).toEqual(known?.entries ?? {});
  });

  it.each(["a stop", "an error of the caller's"])("keeps what was measured before %s", async (kind) => {
    const checkpoint = await openCheckpoint(await folderFromPath("weights/sticker"));
    const request = { ...size, images: kind === "a stop" ? 2 : 3 };
    const known = async () => {
      const { table } = await tuneModel(engine.device, engine.dtype, checkpoint, { ...request, seconds: 0 });
      return Object.keys(table.entries).length;
    };
    const before = await known();
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ done }: TuneProgress) => {
      if (done < 2) return;
      if (kind !== "a stop") throw reason;
      stop.abort(reason);
    };
    const options = { ...request, seconds: 60, onProgress };
    await expect(tuneModel(engine.device, engine.dtype, checkpoint, options, stop.signal)).rejects.toBe(reason);
    expect(await known()).toBe(before + 2);
  });

  it("refuses what cannot be meant, by name", async () => {
    const folder = await folderFromPath("weights/sticker");
    const table = tableOf("any", {});
    await expect(engine.load(folder, { tune: true, tuning: table })).rejects.toThrow("expected one of them, got both");
    await expect(engine.load(folder, { tune: { seconds: -1 } })).rejects.toThrow(
      "tune.seconds: expected a number from 0",
    );
    await expect(engine.load(folder, { tuning: { ...table, id: "0" } })).rejects.toThrow("tuning: id is 0, expected");
    const stop = AbortSignal.abort(new Error("enough"));
    await expect(engine.load(folder, { tune: size, signal: stop })).rejects.toThrow("enough");
  });
});
