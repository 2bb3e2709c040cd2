import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "puppeteer";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Served, serve } from "../../src/cli/serve.js";
import { type ChromeProgram, findChrome, launchChrome } from "../harness/chrome.js";
import { readSource, root } from "../harness/source.js";

const hasEngine = existsSync(join(root, "src/index.ts")) && /createEngine/.test(readSource("src/index.ts"));
const hasModel = existsSync(join(root, "weights/sticker/model_index.json"));
const program: ChromeProgram | undefined = await findChrome();
const reason = !hasEngine
  ? "src/index.ts does not export createEngine yet"
  : !hasModel
    ? "weights/sticker is not here"
    : !program
      ? "no Chrome or Chromium on this machine; set CHROME_PATH to one"
      : "";

const minutes = 60_000;

describe.skipIf(reason !== "")(`the page${reason && ` [${reason}]`}`, () => {
  let served: Served;
  let browser: Browser;

  beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(() => undefined);
    execFileSync(process.execPath, ["scripts/build.mjs", "--page"], { cwd: root, stdio: "pipe" });
    served = await serve({ host: "127.0.0.1", port: 0 });
    browser = await launchChrome(program);
  });

  afterAll(async () => {
    await browser?.close();
    await served?.close();
  });

  /** Opens the page and fails on errors that it does not handle. */
  async function open(query = "", before?: (page: Page) => Promise<unknown>): Promise<Page> {
    const page = await browser.newPage();
    page.on("pageerror", (error) => expect.soft(error).toBeUndefined());
    await before?.(page);
    await page.goto(`${served.url}/${query}`);
    return page;
  }

  const stateIs = (page: Page, ...states: string[]) =>
    page.waitForFunction(
      (names) => names.includes(document.body.dataset["state"] ?? ""),
      { timeout: 8 * minutes },
      states,
    );

  const textOf = (page: Page, id: string) => page.$eval(id, (element) => element.textContent ?? "");

  it("draws what the engine draws", { timeout: 12 * minutes }, async () => {
    const page = await open("?steps=4&seed=7&guidance=5");
    await stateIs(page, "ready", "error");
    expect(await textOf(page, "#status")).toContain("Ready");
    expect(await textOf(page, "#adapter")).toMatch(/ · f(16|32)$/);
    await page.type("#prompt", "a fox");
    await page.locator("#generate").click();
    await stateIs(page, "busy");
    await stateIs(page, "done", "error");
    expect(await textOf(page, "#status")).toMatch(/^Done in .*, seed 7\.$/);

    const difference = await page.evaluate(async () => {
      const canvas = document.querySelector<HTMLCanvasElement>("#canvas")!;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      const request = { prompt: "a fox", steps: 4, seed: 7, guidance: 5 };
      const own = await window.webldm.model!.textToImage(request);
      const size = own.width === canvas.width && own.height === canvas.height;
      let worst = size ? 0 : Number.POSITIVE_INFINITY;
      for (let i = 0; i < data.length; i++) worst = Math.max(worst, Math.abs(data[i]! - own.pixels[i]!));
      return { worst, distinct: new Set(data).size };
    });
    expect(difference.worst).toBe(0);
    expect(difference.distinct).toBeGreaterThan(20); // a picture, not one colour
    expect(await page.$$eval("#gallery li", (items) => items.length)).toBe(1);
    await page.close();
  });

  it("stops when asked, and can start again", { timeout: 12 * minutes }, async () => {
    const page = await open("?prompt=red+apple&steps=50&seed=1&width=64&height=64&autostart=1");
    await stateIs(page, "busy", "error");
    await page.locator("#stop").click(); // once it stands still: the page lays itself out anew when it starts
    await stateIs(page, "ready", "done", "error");
    expect(await textOf(page, "#status")).toBe("Stopped.");
    expect(await page.$eval("#generate", (button) => (button as HTMLButtonElement).disabled)).toBe(false);
    await page.close();
  });

  it("says in one line what went wrong", async () => {
    const page = await open("?model=./weights/no-such-model");
    await stateIs(page, "error");
    const status = await textOf(page, "#status");
    expect(status).toContain("no-such-model");
    expect(status).not.toContain("\n");
    await page.close();
  });

  it("says what to do without WebGPU", async () => {
    const page = await open("", (fresh) =>
      fresh.evaluateOnNewDocument(() => {
        Reflect.deleteProperty(Navigator.prototype, "gpu");
      }),
    );
    await stateIs(page, "unsupported");
    expect(await page.$eval("#unsupported", (card) => card.checkVisibility())).toBe(true);
    expect(await textOf(page, "#unsupported")).toContain("chrome://flags/#enable-unsafe-webgpu");
    expect(await page.$eval("main", (main) => main.checkVisibility())).toBe(false);
    await page.close();
  });

  it.each([1280, 390, 320])("fits a window %i wide, and labels every field", async (width) => {
    const page = await open("", (fresh) => fresh.setViewport({ width, height: 800 }));
    await stateIs(page, "loading", "ready");
    const { overflow, unlabelled } = await page.evaluate(() => ({
      overflow: document.documentElement.scrollWidth - window.innerWidth,
      unlabelled: [...document.querySelectorAll<HTMLInputElement>("input, textarea, select")]
        .filter((field) => !field.labels?.length)
        .map((field) => field.id),
    }));
    expect(overflow).toBeLessThanOrEqual(0);
    expect(unlabelled).toEqual([]);
    await page.close();
  });
});
