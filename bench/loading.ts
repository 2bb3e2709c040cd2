// What loading a model costs a page: memory of the page and of the GPU, bytes read, and seconds to the first step.
//   node scripts/run.mjs bench/loading.ts --model PATH [--dtype f32|f16] [--side 512] [--steps 1] [--out bench/results]
// PATH is a folder in diffusers layout or a single file, with `--config FILE.json` where its tensors do not tell enough.
// A machine without the development tools runs bundles made elsewhere, in a folder that holds weights/tokenizers:
//   node scripts/run.mjs bench/loading.ts --bundle OUT/loading.mjs
//   node scripts/run.mjs bench/loadingPage.ts --bundle OUT/loadingPage.mjs
//   BENCH_PAGE=OUT/loadingPage.mjs node OUT/loading.mjs --model PATH
// CHROME_PATH and CHROME_GPU_FLAGS say which browser, and how it reaches the GPU. Fails where a limit is missed.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { CDPSession } from "puppeteer";
import { invariant } from "../src/core/invariant.js";
import { launchChrome, openPage } from "../test/harness/chrome.js";
import { serveModel } from "./loadingServer.js";
import { pageScript } from "./pageScript.js";

/** The heap of a page as Chrome's `Runtime.getHeapUsage` tells it, garbage that was not collected yet included. Bytes. */
interface Heap {
  /** Since 1970, milliseconds. */
  readonly time: number;
  /** JavaScript objects. */
  readonly objects: number;
  /** What ArrayBuffers and long strings hold outside of V8's heap. */
  readonly buffers: number;
  /** Objects of the browser that scripts hold on to. */
  readonly browser: number;
  readonly total: number;
}

const heapLimit = 200e6;
const pollMilliseconds = 100;

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    config: { type: "string" },
    dtype: { type: "string" },
    side: { type: "string" },
    steps: { type: "string", default: "1" },
    out: { type: "string", default: "bench/results" },
  },
});
const { model, config, dtype, side, steps, out } = options;
invariant(model !== undefined, "--model: expected a model's folder or file, got none");

async function heapOf(session: CDPSession): Promise<Heap> {
  const told = await session.send("Runtime.getHeapUsage");
  const { usedSize: objects, embedderHeapUsedSize: browser, backingStorageSize: buffers } = told;
  return { time: Date.now(), objects, browser, buffers, total: objects + browser + buffers };
}

/** The most memory that the page's process has had at once, everything included; on Linux alone. */
async function processPeak(session: CDPSession): Promise<number | undefined> {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const peaks = processInfo
    .filter(({ type }) => type === "renderer")
    .map(({ id }) => {
      try {
        const [, kilobytes] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${id}/status`, "utf8")) ?? [];
        return Number(kilobytes) * 1024;
      } catch {
        return Number.NaN;
      }
    });
  const most = Math.max(...peaks);
  return Number.isFinite(most) ? most : undefined;
}

const largest = (heaps: readonly Heap[]): Heap => heaps.reduce((a, b) => (b.total > a.total ? b : a));

const server = await serveModel(
  model,
  await pageScript("bench/loadingPage.ts"),
  config && readFileSync(config, "utf8"),
);
const browser = await launchChrome();
const heaps: Heap[] = [];
try {
  const page = await openPage(browser);
  page.on("console", (message) => console.log(`page: ${message.text()}`));
  page.on("pageerror", (error) => console.log(`page: ${error}`));
  const session = await page.createCDPSession();
  const address = new URL(server.url);
  for (const [name, value] of Object.entries({
    model: server.model,
    config: config && "/config.json",
    dtype,
    side,
    steps,
  })) {
    if (value !== undefined) address.searchParams.set(name, value);
  }
  await page.goto(address.href);
  await page.waitForFunction(() => "webldmLoading" in globalThis);
  let running = true;
  const outcome = page
    .evaluate(() => globalThis.webldmLoading)
    .finally(() => {
      running = false;
    });
  outcome.catch(() => undefined); // heard of below
  while (running) {
    heaps.push(await heapOf(session));
    await sleep(pollMilliseconds);
  }
  const result = await outcome;
  const whole = await browser.target().createCDPSession();
  const peak = await processPeak(whole);
  await session.send("HeapProfiler.collectGarbage");
  const settled = await heapOf(session);

  const { at, gpu } = result;
  const loading = largest(heaps.filter(({ time }) => time <= result.origin + at.loaded));
  const drawing = largest(heaps.filter(({ time }) => time > result.origin + at.loaded));
  const plannedBytes = Object.values(gpu.planned).reduce((sum, bytes) => sum + bytes, 0);
  const mostBytes = Math.max(gpu.most.loading, gpu.most.drawing);
  const limits = {
    heap: { most: Math.max(loading.total, drawing.total), limit: heapLimit },
    gpu: { most: mostBytes, limit: plannedBytes },
  };
  const met = Object.values(limits).every(({ most, limit }) => most <= limit);
  const version = (await browser.version()).replace(/\/(\d+).*/, "-$1");
  const report = {
    date: new Date().toISOString().slice(0, 10),
    browser: version,
    model: basename(resolve(model)),
    ...result,
    sent: server.sent(),
    heap: { loading, drawing, settled, polls: heaps.length, everyMilliseconds: pollMilliseconds },
    ...(peak === undefined ? {} : { processPeak: peak }),
    limits,
    met,
  };
  console.log(show(report));
  const name = `loading-${report.model}-${version}-${result.adapter}-${result.dtype}`.toLowerCase();
  mkdirSync(out, { recursive: true });
  const path = join(out, `${name.replace(/[^a-z0-9]+/g, "-").slice(0, 80)}.json`);
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  console.log(path);
  process.exitCode = met ? 0 : 1;
} finally {
  await browser.close();
  await server.close();
}

function show(report: {
  readonly model: string;
  readonly adapter: string;
  readonly dtype: string;
  readonly browser: string;
  readonly request: { readonly width: number; readonly height: number };
  readonly at: Readonly<Record<string, number>>;
  readonly fileBytes: number;
  readonly sent: { readonly bytes: number; readonly answers: number };
  readonly heap: { readonly loading: Heap; readonly drawing: Heap; readonly settled: Heap };
  readonly processPeak?: number;
  readonly gpu: {
    readonly told: Readonly<Record<string, number>>;
    readonly planned: Readonly<Record<string, number>>;
    readonly most: Readonly<Record<string, number>>;
  };
  readonly limits: Readonly<Record<"heap" | "gpu", { readonly most: number; readonly limit: number }>>;
}): string {
  const { heap, gpu, at, request, limits } = report;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const list = (sizes: Readonly<Record<string, number>>) =>
    Object.entries(sizes)
      .map(([name, bytes]) => `${name} ${mb(bytes)}`)
      .join(", ");
  const ofHeap = ({ total, objects, buffers, browser }: Heap) =>
    `${mb(total)} (${list({ objects, "array buffers": buffers, "browser's objects": browser })})`;
  const times = Object.entries(at).map(([name, ms]) => `${name} ${(ms / 1000).toFixed(2)} s`);
  const verdict = ({ most, limit }: { most: number; limit: number }) =>
    `${mb(most)}, limit ${mb(limit)}: ${most <= limit ? "met" : "MISSED"}`;
  return [
    `${report.model} in ${report.browser}, ${report.adapter}, ${report.dtype}, ${request.width} x ${request.height}`,
    `from navigation: ${times.join(", ")}`,
    `read ${mb(report.sent.bytes)} in ${report.sent.answers} answers, of which weights ${mb(report.fileBytes)}`,
    `heap while loading at most ${ofHeap(heap.loading)}`,
    `heap while drawing at most ${ofHeap(heap.drawing)}`,
    `heap in the end, collected ${ofHeap(heap.settled)}`,
    ...(report.processPeak === undefined ? [] : [`the page's process at most ${mb(report.processPeak)}`]),
    `GPU buffers at most: ${list(gpu.most)}; planned: ${list(gpu.planned)}; the engine tells: ${list(gpu.told)}`,
    `heap ${verdict(limits.heap)}`,
    `GPU memory ${verdict(limits.gpu)}`,
  ].join("\n");
}
