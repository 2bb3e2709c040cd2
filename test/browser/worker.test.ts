import type { Browser, Page } from "puppeteer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type * as webldm from "../../src/index.js";
import type * as inWorker from "../../src/worker.js";
import { findChrome, launchChrome, openPage } from "../harness/chrome.js";
import type { TestServer } from "../weights/server.js";
import { workerPage } from "./workerPage.js";

declare global {
  interface Window {
    own: { lib: typeof webldm & typeof inWorker; engine: inWorker.WorkerEngine; model: inWorker.WorkerModel };
  }
}

const program = await findChrome();
const reason = program ? "" : "no Chrome or Chromium on this machine; set CHROME_PATH to one";

describe.skipIf(!program)(`webldm/worker in a browser${reason && ` [${reason}]`}`, () => {
  let server: TestServer & { readonly page: string };
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    server = await workerPage();
    browser = await launchChrome(program);
    page = await openPage(browser);
    page.on("pageerror", (error) => expect.soft(error).toBeUndefined());
    await page.goto(server.page);
    await page.waitForFunction(() => "own" in window);
    await page.evaluate(async () => {
      window.own.engine = await window.own.lib.createWorkerEngine({ dtype: "f32" });
      window.own.model = await window.own.engine.load("../../weights/sticker/"); // relative to the page
    });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  it("draws what the page's own thread draws, on the same adapter", async () => {
    const { same, distinct, facts, own } = await page.evaluate(async () => {
      const { lib, model, engine } = window.own;
      const request = { prompt: "a fox", steps: 2, seed: 7, width: 32, height: 32 };
      const local = await lib.createEngine({ dtype: "f32" });
      const here = await local.load("../../weights/sticker/");
      const one = await model.textToImage(request);
      const other = await here.textToImage(request);
      const [first, second] = await model.textToImage({ ...request, images: 2 });
      const told = (m: typeof model | typeof here, adapter: string) =>
        JSON.stringify([adapter, m.defaults, m.sizeMultiple, m.conditioning, m.config, m.memory.weights]);
      const { pixels: a, milliseconds: _a, ...restA } = one;
      const { pixels: b, milliseconds: _b, ...restB } = other;
      const result = {
        same:
          a instanceof Uint8ClampedArray &&
          String(a) === String(b) &&
          String(first?.pixels.length) === String(second?.pixels.length) &&
          JSON.stringify(restA) === JSON.stringify(restB) &&
          JSON.stringify(await model.tokenize("a fox")) === JSON.stringify(here.tokenize("a fox")),
        distinct: new Set(a).size,
        facts: told(model, engine.adapter),
        own: told(here, local.adapter),
      };
      local.dispose();
      return result;
    });
    expect(same).toBe(true);
    expect(distinct).toBeGreaterThan(20); // a picture, not one colour
    expect(facts).toBe(own);
  });

  it("encodes, decodes, prepares, and tells the memory as it is", async () => {
    const { before, after, size, latent } = await page.evaluate(async () => {
      const { model } = window.own;
      const before = model.memory.intermediates;
      await model.prepare({ width: 64, height: 64, guidance: 3 });
      const code = await model.encode({ width: 32, height: 32, pixels: new Uint8ClampedArray(32 * 32 * 4).fill(200) });
      const picture = await model.decode(code);
      return {
        before,
        after: model.memory.intermediates,
        size: [picture.width, picture.height, picture.pixels.length],
        latent: code.values instanceof Float32Array && code.values.length === code.channels * code.width * code.height,
      };
    });
    expect(after).toBeGreaterThan(before);
    expect(size).toEqual([32, 32, 4096]);
    expect(latent).toBe(true);
  });

  it("reports steps and answers previews", async () => {
    const seen = await page.evaluate(async () => {
      const seen: string[] = [];
      let kept: (() => Promise<unknown>) | undefined;
      await window.own.model.textToImage({
        prompt: "a fox",
        steps: 2,
        width: 32,
        height: 32,
        onStep: async ({ step, steps, preview }) => {
          const { width, pixels } = await preview();
          kept ??= preview;
          seen.push(`${step}/${steps} ${width} ${pixels.length}`);
        },
      });
      await kept?.().catch((error: Error) => seen.push(error.message));
      return seen;
    });
    expect(seen).toEqual(["1/2 32 4096", "2/2 32 4096", expect.stringContaining("after the call")]);
  });

  it("goes step by step, and takes canvases of the page", async () => {
    const { steps, result, same } = await page.evaluate(async () => {
      const { model } = window.own;
      const request = { prompt: "a fox", steps: 2, seed: 7, width: 32, height: 32 };
      const steps: string[] = [];
      let result: webldm.Picture | undefined;
      for await (const step of model.steps(request)) {
        steps.push(`${step.step} ${(await step.preview()).width}`);
        result = step.result;
      }
      const whole = await model.textToImage(request);
      const canvas = document.createElement("canvas");
      canvas.width = 32;
      canvas.height = 32;
      const pixels = new Uint8ClampedArray(32 * 32 * 4).map((_, i) => (i % 4 === 3 ? 255 : (i * 7) % 256));
      canvas.getContext("2d")!.putImageData(new ImageData(pixels, 32, 32), 0, 0);
      const redrawn = { prompt: "a fox", steps: 2, seed: 1 };
      const fromCanvas = await model.imageToImage({ ...redrawn, image: canvas });
      const fromPixels = await model.imageToImage({ ...redrawn, image: { width: 32, height: 32, pixels } });
      return {
        steps,
        result: String(result?.pixels) === String(whole.pixels),
        same: String(fromCanvas.pixels) === String(fromPixels.pixels),
      };
    });
    expect(steps).toEqual(["1 32", "2 32"]);
    expect(result).toBe(true);
    expect(same).toBe(true);
  });

  it("aborts at once with the very reason, and draws again", async () => {
    const { same, steps, plain, before, again } = await page.evaluate(async () => {
      const { model } = window.own;
      const request = { prompt: "a fox", steps: 50, width: 32, height: 32 };
      const caught = (promise: Promise<unknown>) => promise.then(String, (error: unknown) => error);
      const controller = new AbortController();
      const reason = new Error("enough");
      let steps = 0;
      const onStep = () => {
        steps += 1;
        if (steps === 2) controller.abort(reason);
      };
      const same = (await caught(model.textToImage({ ...request, onStep, signal: controller.signal }))) === reason;
      const plain = new AbortController();
      const running = caught(model.textToImage({ ...request, signal: plain.signal }));
      plain.abort();
      const aborted = await caught(model.textToImage({ ...request, signal: AbortSignal.abort() }));
      return {
        same,
        steps,
        plain: ((await running) as Error).name,
        before: (aborted as Error).name,
        again: (await model.textToImage({ ...request, steps: 1 })).steps,
      };
    });
    expect({ same, plain, before, again }).toEqual({ same: true, plain: "AbortError", before: "AbortError", again: 1 });
    expect(steps).toBeLessThan(10);
  });

  it("rebuilds errors in their class, and hands back what callbacks threw", async () => {
    const errors = await page.evaluate(async () => {
      const { lib, model, engine } = window.own;
      const told = async (promise: Promise<unknown>) => {
        const error: unknown = await promise.catch((thrown: unknown) => thrown);
        if (!(error instanceof Error)) return "no error";
        const classes = [lib.UnsupportedError, lib.WebldmError, TypeError].filter((c) => error instanceof c);
        return `${classes.map(({ name }) => name).join()} ${error.name}: ${error.message}`;
      };
      const size = { width: 32, height: 32, steps: 2 };
      class Own extends Error {}
      const own = new Own("mine");
      const thrower = () => {
        throw own;
      };
      const small = { width: 8, height: 8, pixels: new Uint8ClampedArray(256) };
      return {
        invalid: await told(model.textToImage({ prompt: "a", width: 33 })),
        task: await told(model.upscale({ image: small })),
        missing: await told(engine.load("../../weights/none/")),
        opened: await told(
          lib.openCheckpoint("../../weights/sticker/").then((c) => engine.load(c as unknown as string)),
        ),
        cache: await told(engine.load("../../weights/sticker/", { cache: lib.cache as unknown as boolean })),
        unclonable: await told(engine.load(document.body as unknown as string)),
        onStep: (await model.textToImage({ prompt: "a", ...size, onStep: thrower }).catch((e) => e)) === own,
        onProgress: (await engine.load("../../weights/sticker/", { onProgress: thrower }).catch((e) => e)) === own,
      };
    });
    expect(errors).toEqual({
      invalid: expect.stringMatching(/^WebldmError WebldmError: width: expected a multiple of/),
      task: expect.stringMatching(/Error: .*super-resolution/),
      missing: expect.stringMatching(/^WebldmError WebldmError: .*weights\/none/),
      opened: expect.stringMatching(/^WebldmError WebldmError: load: expected a source/),
      cache: expect.stringMatching(/^WebldmError WebldmError: cache: expected true or false/),
      unclonable: expect.stringMatching(/^WebldmError WebldmError: this cannot go to another thread/),
      onStep: true,
      onProgress: true,
    });
  });

  it("gives bitmaps where asked, previews too", async () => {
    const { equal, preview, list, decoded } = await page.evaluate(async () => {
      const { engine, model } = window.own;
      const drawn = await engine.load("../../weights/sticker/", { pictures: "bitmap" });
      const request = { prompt: "a fox", steps: 2, seed: 7, width: 32, height: 32 };
      const previews: string[] = [];
      const onStep = async (info: inWorker.BitmapStepInfo) => {
        const { bitmap } = await info.preview();
        previews.push(`${bitmap.constructor.name} ${bitmap.width}`);
      };
      const { bitmap, seed } = await drawn.textToImage({ ...request, onStep });
      const pictures = await drawn.variations({ ...request, count: 1 });
      const { pixels } = await model.textToImage(request);
      const canvas = new OffscreenCanvas(32, 32).getContext("2d")!;
      canvas.drawImage(bitmap, 0, 0);
      const shown = canvas.getImageData(0, 0, 32, 32).data;
      const code = await drawn.encode({ width: 32, height: 32, pixels });
      const decoded = await drawn.decode(code);
      drawn.dispose();
      return {
        equal: seed === 7 && String(shown) === String(pixels),
        preview: previews.join(),
        list: pictures.map((picture) => `${picture.bitmap.height} ${"pixels" in picture}`),
        decoded: decoded.bitmap.width,
      };
    });
    expect(equal).toBe(true);
    expect(preview).toBe("ImageBitmap 32,ImageBitmap 32");
    expect(list).toEqual(["32 false"]);
    expect(decoded).toBe(32);
  });

  it("loads files, a folder's handle and a folder of one's own, with progress", async () => {
    const { weights, progress, disposed } = await page.evaluate(async () => {
      const { lib, engine } = window.own;
      const names = ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json"];
      names.push(
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
      );
      names.push("unet/diffusion_pytorch_model.safetensors.index.json");
      for (const part of [1, 2]) names.push(`unet/diffusion_pytorch_model-0000${part}-of-00002.safetensors`);
      for (const name of ["merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json"]) {
        names.push(`tokenizer/${name}`);
      }
      const files = new Map<string, Blob>();
      const home = await navigator.storage.getDirectory();
      for (const name of names) {
        const blob = await (await fetch(`/weights/sticker/${name}`)).blob();
        files.set(name, blob);
        const parts = name.split("/");
        let folder = home;
        for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, { create: true });
        const writer = await (await folder.getFileHandle(parts.at(-1)!, { create: true })).createWritable();
        await writer.write(blob);
        await writer.close();
      }
      const seen: webldm.LoadProgress[] = [];
      const onProgress = (info: webldm.LoadProgress) => void seen.push(info);
      const loaded = [
        await engine.load(files, { onProgress }),
        await engine.load(home),
        await engine.load(lib.folderFromFiles(files)),
      ];
      const weights = new Set(loaded.map(({ memory }) => memory.weights)).size;
      for (const one of loaded) one.dispose();
      const after = loaded[0]!.textToImage({ prompt: "a" }).catch((error: Error) => error.message);
      return {
        weights,
        progress: seen.length > 5 && seen.every(({ loaded, total }) => loaded <= total) && seen.at(-1)!.file,
        disposed: await after,
      };
    });
    expect(weights).toBe(1); // all the same
    expect(progress).toBe("vae");
    expect(disposed).toBe("the model was disposed");
  });

  it("takes a worker handed in, and ends with the engine", async () => {
    const result = await page.evaluate(async () => {
      const { lib } = window.own;
      const worker = new Worker("/lib/worker-entry.js", { type: "module" });
      const message = (error: Error) => error.message;
      const engine = await lib.createWorkerEngine({ worker });
      const model = await engine.load("../../weights/sticker/");
      const running = model.textToImage({ prompt: "a", steps: 50, width: 32, height: 32 }).catch(message);
      engine.dispose();
      const second = await lib.createWorkerEngine({ worker }); // it is still there
      const name = second.adapter;
      second.dispose();
      const nowhere = await lib.createWorkerEngine({ worker: "/lib/none.js" }).catch(message);
      const refused = await lib.createWorkerEngine({ dtype: "f8" as "f16" }).catch(message);
      return { running: await running, later: await model.tokenize("a").catch(message), name, nowhere, refused };
    });
    expect(result).toEqual({
      running: "the engine was disposed",
      later: "the engine was disposed",
      name: expect.stringMatching(/./),
      nowhere: expect.stringContaining("the worker did not start"),
      refused: expect.stringContaining("dtype: expected f32 or f16, got f8"),
    });
  });
});
