// `npm run bench`: measures in headless Chrome. Without options, the embedded model; with `--full`, or some of
// `--cases --further --models --kernels --growth`, Stable Diffusion 1.5 with random weights. `--compare OLD NEW` sets two
// reports side by side and fails where something has become slower. `--peers [--small]` runs other engines beside this one,
// `--torch` PyTorch alone; `--cold` times a page from its start.
// A machine without the development tools runs bundles made elsewhere: `node bench/pack.mjs` makes them, and says how.
import { resolve } from "node:path";
import { serve } from "../src/cli/serve.js";
import { launchChrome, openPage } from "../test/harness/chrome.js";
import { benchOptions, save } from "./options.js";
import { pageScript } from "./pageScript.js";
import { runPeers } from "./peers/run.js";
import { chromeJob } from "./speed/chromeJob.js";
import { runCold } from "./speed/cold.js";
import { compareReports, showComparison } from "./speed/compare.js";
import { finish } from "./speed/finish.js";
import { speedOptions } from "./speed/options.js";
import { readReport } from "./speed/report.js";
import { runTorch } from "./speed/torch.js";
import { show } from "./suite.js";

async function embedded(): Promise<void> {
  const { model, out, dtype, ...options } = benchOptions();
  const server = await serve({ port: 0, root: resolve(".") });
  const browser = await launchChrome();
  try {
    const page = await openPage(browser);
    page.on("console", (message) => console.log(`page: ${message.text()}`));
    page.setDefaultTimeout(0);
    await page.goto(new URL(`/${model}/model_index.json`, server.url).href);
    await page.addScriptTag({ content: await pageScript("bench/page.ts"), type: "module" });
    await page.waitForFunction(() => "webldmBench" in globalThis);
    const result = await page.evaluate((m, d, o) => globalThis.webldmBench(m, d, o), `/${model}`, dtype, options);
    const version = (await browser.version()).replace(/\/(\d+).*/, "-$1");
    console.log(show(result));
    console.log(save(out, version, result));
  } finally {
    await browser.close();
    await server.close();
  }
}

async function measured(args: readonly string[]): Promise<void> {
  const options = speedOptions(args);
  if (!options) return embedded();
  if (options.compare) {
    const rows = compareReports(readReport(options.compare[0]), readReport(options.compare[1]));
    console.log(showComparison(rows));
    process.exitCode = rows.some(({ worse }) => worse) ? 1 : 0;
    return;
  }
  const { result, chrome } = await chromeJob(options.job);
  finish("chrome", { chrome }, result, options);
}

const args = process.argv.slice(2);
if (args.includes("--peers")) await runPeers(args);
else if (args.includes("--cold")) await runCold(args);
else if (args.includes("--torch")) runTorch(args);
else await measured(args);
