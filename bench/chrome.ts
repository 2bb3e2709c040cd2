// `npm run bench`: measures the embedded model in headless Chrome and writes the figures to bench/results.
// A machine without the development tools runs bundles made elsewhere, in a folder that holds the model:
//   node scripts/run.mjs bench/chrome.ts --bundle OUT/chrome.mjs && node scripts/run.mjs bench/page.ts --bundle OUT/page.mjs
//   BENCH_PAGE=OUT/page.mjs node OUT/chrome.mjs        (CHROME_PATH and CHROME_GPU_FLAGS say which browser, and how)
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { serve } from "../src/cli/serve.js";
import { launchChrome } from "../test/harness/chrome.js";
import { benchOptions, save } from "./options.js";
import { show } from "./suite.js";

async function pageScript(): Promise<string> {
  const made = process.env["BENCH_PAGE"];
  if (made) return readFileSync(made, "utf8");
  const { build } = await import("esbuild");
  const { wgslPlugin } = await import("../scripts/wgslText.mjs");
  const { outputFiles } = await build({
    entryPoints: ["bench/page.ts"],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    plugins: [wgslPlugin()],
  });
  return outputFiles[0]!.text;
}

const { model, out, dtype, ...options } = benchOptions();
const server = await serve({ port: 0, root: resolve(".") });
const browser = await launchChrome();
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.log(`page: ${message.text()}`));
  page.setDefaultTimeout(0);
  await page.goto(new URL(`/${model}/model_index.json`, server.url).href);
  await page.addScriptTag({ content: await pageScript(), type: "module" });
  await page.waitForFunction(() => "webldmBench" in globalThis);
  const result = await page.evaluate((m, d, o) => globalThis.webldmBench(m, d, o), `/${model}`, dtype, options);
  const version = (await browser.version()).replace(/\/(\d+).*/, "-$1");
  console.log(show(result));
  console.log(save(out, version, result));
} finally {
  await browser.close();
  await server.close();
}
