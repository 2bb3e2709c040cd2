// Measures in headless Chrome how long a person waits for the first picture: from opening the page, with nothing kept, to the
// picture of the embedded model on the screen, and the same on the next visit. Prints it, and as JSON with `--out FILE`.
//   node scripts/run.mjs bench/studio.ts [--runs 3] [--steps 20] [--out FILE]
// A machine without the development tools runs a bundle made elsewhere, in a folder that holds dist/studio and weights:
//   node scripts/run.mjs bench/studio.ts --bundle OUT/studio.mjs
//   node OUT/studio.mjs                                (CHROME_PATH and CHROME_GPU_FLAGS say which browser, and how)
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { BrowserContext } from "puppeteer";
import { serve } from "../src/cli/serve.js";
import { launchChrome, openPage } from "../test/harness/chrome.js";

interface Visit {
  /** Milliseconds from the start of the navigation until the model is loaded. */
  readonly ready: number;
  /** … until the first look at the picture in the making. */
  readonly preview: number | undefined;
  /** … until the picture is there. */
  readonly picture: number;
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    steps: { type: "string", default: "20" },
    out: { type: "string" },
  },
});
const query = `#prompt=a+fox&seed=1&steps=${values.steps}&autostart=1`;

const server = await serve({ port: 0, root: resolve(".") });
const browser = await launchChrome();
let adapter = "";

async function visit(context: BrowserContext): Promise<Visit> {
  const page = await openPage(context);
  page.on("pageerror", (error) => console.log(`page: ${error}`));
  await page.evaluateOnNewDocument(() => {
    const times: Record<string, number> = {};
    Object.assign(window, { times });
    const note = (name: string, there: boolean) => {
      if (there) times[name] ??= performance.now();
    };
    const look = () => {
      const state = document.body?.dataset["state"];
      note("ready", state === "ready" || state === "busy");
      note("preview", document.querySelector(".frame canvas[role=img]:not([hidden])") !== null);
      note("picture", document.querySelector<HTMLImageElement>("#picture")?.complete === true);
      requestAnimationFrame(look);
    };
    look();
  });
  await page.goto(`${server.url}/${query}`);
  await page.waitForFunction(
    () => "picture" in (window as unknown as { times: object }).times || document.body.dataset["state"] === "error",
    { timeout: 600_000 },
  );
  adapter = await page.$eval("#adapter", (element) => element.textContent ?? "");
  const times = await page.evaluate(() => (window as unknown as { times: Record<string, number> }).times);
  const { ready = Number.NaN, preview, picture = Number.NaN } = times;
  await page.close();
  return { ready, preview, picture };
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;

try {
  const first: Visit[] = [];
  const next: Visit[] = [];
  for (let run = 0; run < Number(values.runs); run++) {
    const context = await browser.createBrowserContext(); // nothing is kept from the run before
    first.push(await visit(context));
    next.push(await visit(context));
    await context.close();
  }
  const result = { adapter, browser: await browser.version(), steps: Number(values.steps), first, next };
  for (const [name, visits] of Object.entries({ first, next })) {
    const middle = (of: (visit: Visit) => number) => `${(median(visits.map(of)) / 1000).toFixed(2)} s`;
    console.log(`${name} visit: ready after ${middle((v) => v.ready)}, picture after ${middle((v) => v.picture)}`);
  }
  console.log(`${adapter}, ${result.browser}, ${values.steps} steps, median of ${values.runs}`);
  if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
} finally {
  await browser.close();
  await server.close();
}
