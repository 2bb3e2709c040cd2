// `npm run screenshots`: eight states of the page, at the width of a phone and of a screen, light and dark, as PNG in
// dist/screenshots. Pictures are drawn by the embedded model, so that on a machine without a graphics card it takes minutes.
//   npm run screenshots [-- --steps 20] [--only done,inpaint]
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { ElementHandle } from "puppeteer";
import { serve } from "../../src/cli/serve.js";
import { launchChrome, openPage } from "../harness/chrome.js";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "20" },
    only: { type: "string" },
    out: { type: "string", default: "dist/screenshots" },
    profile: { type: "string" },
  },
});
const out = resolve(values.out);
mkdirSync(out, { recursive: true });
const widths = [360, 1440];
const schemes = ["light", "dark"] as const;
const prompts = [
  "a fox, noto style",
  "red apple",
  "a sunflower",
  "a blue mushroom",
  "a rocket",
  "an octopus, 3d style",
];

const server = await serve({ port: 8099, root: resolve("."), host: "127.0.0.1" });
const browser = await launchChrome(undefined, values.profile ? [`--user-data-dir=${values.profile}`] : []);
const page = await openPage(browser);
page.setDefaultTimeout(600_000);
page.on("pageerror", (error) => console.log(`page: ${error}`));

const stateIs = (...names: string[]) =>
  page.waitForFunction((states) => states.includes(document.body.dataset["state"] ?? ""), {}, names);

async function open(query = ""): Promise<void> {
  await page.goto("about:blank");
  await page.goto(`${server.url}/${query}`);
  await stateIs("ready", "error", "unsupported", "busy");
}

async function draw(prompt: string, seed: number): Promise<void> {
  await open(`#prompt=${encodeURIComponent(prompt)}&seed=${seed}&steps=${values.steps}&autostart=1`);
  await stateIs("busy");
  await stateIs("ready", "error");
}

async function fillGallery(): Promise<void> {
  await open();
  await page.waitForSelector(".tile", { timeout: 3000 }).catch(() => undefined); // of an earlier run, with --profile
  const there = await page.$$eval(".tile", (tiles) => tiles.length);
  for (const [i, prompt] of prompts.slice(there).entries()) await draw(prompt, i + 1);
}

const pick = (mode: string) => page.click(`.tab input[value=${mode}]`);

/** What brings the page to a state, from the start. */
const states: Readonly<Record<string, () => Promise<void>>> = {
  ready: () => open(),
  busy: async () => {
    await open(`#prompt=sunflower&seed=3&steps=${values.steps}&autostart=1`);
    await page.waitForFunction(() => (document.querySelector("progress")?.value ?? 0) >= 0.4);
  },
  done: async () => {
    await open();
    await page.locator(".gallery li:last-child .tile").click();
    await page.waitForSelector("#picture");
  },
  inpaint: async () => {
    await open();
    await page.locator(".gallery li:last-child .tile").click();
    await page.locator("#workOn").click();
    await pick("inpaint");
    const box = (await (await page.waitForSelector("#mask"))!.boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.35, box.y + box.height * 0.4);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.65, box.y + box.height * 0.5, { steps: 5 });
    await page.mouse.up();
  },
  settings: async () => {
    await open();
    await page.locator(".settings summary").click();
  },
  models: async () => {
    await open();
    await page.locator("#openModels").click();
    await page.locator("#address").fill("./weights/sticker/");
    await page.locator("#look").click();
    await page.waitForSelector("#loadIt");
  },
  technical: async () => {
    await open();
    await page.locator(".gallery li:last-child .tile").click();
    await draw("red apple", 2);
    await page.locator(".technical summary").click();
    await page.locator("#profile").click();
    await page.waitForSelector(".timeline");
  },
  error: async () => {
    await open();
    await page.locator("#openModels").click();
    const input = (await page.waitForSelector("#file")) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(join("weights", "README.md"));
    await page.waitForSelector(".candidate .trouble");
  },
};

async function shoot(name: string): Promise<void> {
  for (const width of widths) {
    for (const scheme of schemes) {
      await page.setViewport({ width, height: width < 500 ? 780 : 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await new Promise((done) => setTimeout(done, 400));
      await page.screenshot({
        path: join(out, `${name}-${width}-${scheme}.png`) as `${string}.png`,
        fullPage: !(await page.$("dialog[open]")),
      });
    }
  }
}

try {
  await fillGallery();
  for (const [name, reach] of Object.entries(states)) {
    if (values.only && !values.only.split(",").includes(name)) continue;
    await page.setViewport({ width: 1440, height: 900 });
    await reach();
    await shoot(name);
    console.log(name);
  }
} finally {
  await browser.close();
  await server.close();
}
console.log(`in ${out}`);
