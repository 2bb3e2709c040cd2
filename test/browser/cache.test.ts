// What only a browser can show: the cache in the private file system, on the page and in a worker, and pictures in the forms
// that pages have them.
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "puppeteer";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import type * as webldm from "../../src/index.js";
import { findChrome, launchChrome, openPage } from "../harness/chrome.js";
import { root } from "../harness/source.js";
import { diffusersFolder } from "../pipeline/seededModel.js";
import { SeededTask } from "../pipeline/seededTask.js";
import { sendRange, serve, type TestServer } from "../weights/server.js";

declare global {
  var made: number;
  interface Window {
    library: typeof webldm;
  }
}

const program = await findChrome();
const reason = program ? "" : "no Chrome or Chromium on this machine; set CHROME_PATH to one";
const html = `<!doctype html><script type="module">import * as lib from "/lib/index.js"; window.library = lib;</script>`;
/** Counts the workers that a thread makes. */
const counting = `globalThis.made = 0;
  globalThis.Worker = class extends Worker { constructor(...args) { made++; super(...args); } };`;
const worker = `import { cache } from "/lib/index.js";
  ${counting}
  const damaged = await cache.verify();
  postMessage([(await cache.list()).length, damaged.length, made]);`;
const unet = "unet/diffusion_pytorch_model.safetensors";

describe.skipIf(!program)(`the library in a browser${reason && ` [${reason}]`}`, () => {
  let server: TestServer;
  let browser: Browser;
  let page: Page;
  /** Bytes of the UNet after which the hub falls silent. */
  let silentAfter = Number.POSITIVE_INFINITY;

  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [join(root, "src/index.ts")],
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "browser",
      outdir: "/lib",
      write: false,
      plugins: [wgslPlugin()],
    });
    const scripts = new Map(outputFiles.map(({ path, contents }) => [path, contents]));
    const model = diffusersFolder((await SeededTask.read("text_ddim")).stored);
    server = await serve(async (request, response) => {
      const { pathname } = new URL(request.url!, "http://host");
      const send = (type: string, body: string | Uint8Array) =>
        response.writeHead(200, { "content-type": type }).end(body);
      if (pathname === "/") return send("text/html", html);
      if (pathname === "/worker.js") return send("text/javascript", worker);
      const script = scripts.get(pathname);
      if (script) return send("text/javascript", script);
      const path = /^\/owner\/name\/resolve\/main\/(.*)$/.exec(pathname)?.[1];
      const source = path === undefined ? undefined : await model.open(path);
      if (!source) return response.writeHead(404).end();
      const file = await source.read(0, source.size);
      const header = request.headers.range?.endsWith("-65535");
      if (path !== unet || header || silentAfter > file.length)
        return sendRange(request, response, file, { etag: '"1"' });
      const range = { "content-range": `bytes 0-${file.length - 1}/${file.length}`, "content-length": file.length };
      return response.writeHead(206, { ...range, etag: '"1"' }).write(file.subarray(0, silentAfter));
    });
    browser = await launchChrome(program);
    page = await openPage(browser);
    page.on("pageerror", (error) => expect.soft(error).toBeUndefined());
    await page.evaluateOnNewDocument(counting);
    await open();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  beforeEach(() => {
    server.asked.length = 0;
  });

  const open = async () => {
    await page.goto(server.origin);
    await page.waitForFunction(() => "library" in window);
  };

  const asked = (path = "") => server.asked.filter(({ url }) => url.startsWith("/owner/") && url.endsWith(path));

  /** Loads the model of the hub and draws with it; aborts after so many bytes if asked to. */
  const load = (abortAfter?: number) =>
    page.evaluate(async (most) => {
      const controller = new AbortController();
      const engine = await window.library.createEngine({ dtype: "f32" });
      let [before, ofUnet] = [0, 0];
      try {
        const model = await engine.load("owner/name", {
          host: location.origin,
          signal: controller.signal,
          onProgress: ({ loaded, file }) => {
            if (file === "unet") ofUnet += loaded - before;
            before = loaded;
            if (most !== undefined && ofUnet >= most) controller.abort();
          },
        });
        const { pixels } = await model.textToImage({ prompt: "a fox", steps: 1, seed: 1, width: 16, height: 16 });
        return [...pixels].join();
      } catch (error) {
        return `${error}`;
      } finally {
        engine.dispose();
      }
    }, abortAfter ?? undefined);

  it("goes on with an aborted transfer, and asks for nothing the second time", async () => {
    silentAfter = 1_000_000;
    expect(await load(silentAfter)).toMatch(/^AbortError/);
    silentAfter = Number.POSITIVE_INFINITY;
    await open();
    server.asked.length = 0;
    const picture = await load();
    expect(picture).toMatch(/^\d+(,\d+)+$/);
    expect(asked(unet).map(({ range }) => range)).toEqual([
      "bytes=0-65535",
      expect.stringMatching(/^bytes=1000000-\d+$/),
    ]);
    server.asked.length = 0;
    await open();
    expect(await load()).toBe(picture);
    expect(asked()).toEqual([]);
    expect(await page.evaluate(() => made)).toBe(1); // the one that reads the weights
  });

  it("shows the same cache to workers, and deletes", async () => {
    const [list, damaged, readers] = await page.evaluate(
      () =>
        new Promise<[number, number, number]>((resolve) => {
          new Worker("/worker.js", { type: "module" }).onmessage = ({ data }) => resolve(data);
        }),
    );
    expect(list).toBe(9); // an index, a schedule, a vocabulary, and three parts with their configurations
    expect(damaged).toBe(0);
    expect(readers).toBe(1); // of the worker's own
    const left = await page.evaluate(async () => {
      await window.library.cache.delete("owner/name");
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("webldm");
      const names: string[] = [];
      for await (const name of folder.keys()) names.push(name);
      return names;
    });
    expect(left).toEqual([]);
  });

  it("says that nothing is kept where there is no private file system", async () => {
    await open();
    const [first] = await page.evaluate(async () => {
      Reflect.deleteProperty(StorageManager.prototype, "getDirectory");
      const { notes } = await window.library.openCheckpoint("owner/name", { host: location.origin });
      return notes;
    });
    expect(first).toMatch(/^the model is not kept: cache: expected a private file system/);
    await open();
  });

  it("gives pictures to pages, and takes them back", async () => {
    const result = await page.evaluate(async () => {
      const { library: lib } = window;
      const pixels = Uint8ClampedArray.from({ length: 8 * 4 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256));
      const picture = { width: 8, height: 4, pixels };
      const canvas = document.createElement("canvas");
      lib.drawTo(canvas, picture);
      const offscreen = new OffscreenCanvas(1, 1);
      lib.drawTo(offscreen, picture);
      const element = new Image();
      element.src = URL.createObjectURL(await lib.toBlob(picture));
      await element.decode();
      const forms: Record<string, Parameters<typeof lib.toPixelImage>[0]> = {
        canvas,
        offscreen,
        element,
        data: lib.toImageData(picture),
        bitmap: await lib.toImageBitmap(picture),
        png: await lib.toPng(picture),
        blob: await lib.toBlob(picture),
      };
      const wrong: string[] = [];
      for (const [name, form] of Object.entries(forms)) {
        const { width, height, pixels: back } = await lib.toPixelImage(form);
        if (width !== 8 || height !== 4 || String(back) !== String(pixels)) wrong.push(`${name}: ${back}`);
      }
      const jpeg = await lib.toBlob(picture, "image/jpeg", 0.9);
      const { width } = await lib.toPixelImage(jpeg);
      const none = await lib.toPixelImage(new Blob(["text"])).catch(String);
      const unknown = await lib.toBlob(picture, "image/tiff").catch(String);
      return { wrong, type: jpeg.type, width, none, unknown };
    });
    expect(result).toEqual({
      wrong: [],
      type: "image/jpeg",
      width: 8,
      none: expect.stringMatching(/^WebldmError: picture: the browser cannot decode the file/),
      unknown: expect.stringMatching(/^WebldmError: type: expected one that this browser writes/),
    });
  });
});
