// `npm run bench -- --cold`: from navigation to the first step and picture of Stable Diffusion 1.5 with random weights, first
// with every cache empty, then in a new browser that finds the weights in its cache.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { launchChrome, openPage } from "../../test/harness/chrome.js";
import { stableDiffusion15Files } from "../configs.js";
import type { LoadingResult } from "../loadingPage.js";
import { pageScript } from "../pageScript.js";
import { versionOf } from "./chromeJob.js";
import { commit } from "./finish.js";
import { table } from "./markdown.js";
import { randomFolder, type VirtualFile } from "./randomFolder.js";
import { compact } from "./report.js";
import { tinyFiles } from "./tinyConfig.js";

interface Start {
  readonly id: string;
  /** Milliseconds from navigation. */
  readonly at: LoadingResult["at"];
  readonly pipelines: number;
  readonly fileBytes: number;
  readonly adapter: string;
  readonly dtype: string;
  readonly most: LoadingResult["gpu"]["most"];
}

/** Milliseconds from navigation to the first finished step that issue 4 of this project asks for, weights being cached. */
const required = 4000;

const piece = 2 ** 22;

function* piecesOf(file: VirtualFile, begin: number, end: number): Generator<Uint8Array> {
  for (let at = begin; at < end; at += piece) yield file.read(at, Math.min(end, at + piece));
}

/** Serves a page with a script, and files in ranges. */
async function serve(files: ReadonlyMap<string, VirtualFile>, script: string) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (pathname === "/" || pathname === "/page.js") {
      const page = `<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>`;
      response.setHeader("Content-Type", pathname === "/" ? "text/html" : "text/javascript");
      response.end(pathname === "/" ? page : script);
      return;
    }
    const file = files.get(pathname.replace(/^\/model\//, ""));
    if (!file) {
      response.writeHead(404).end();
      return;
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const begin = from === undefined ? 0 : Number(from);
    const end = to ? Math.min(file.size, Number(to) + 1) : file.size;
    response.writeHead(from === undefined ? 200 : 206, {
      "Content-Type": "application/octet-stream",
      "Content-Length": end - begin,
      "Accept-Ranges": "bytes",
      ETag: `"${file.size}"`,
      ...(from === undefined ? {} : { "Content-Range": `bytes ${begin}-${end - 1}/${file.size}` }),
    });
    Readable.from(piecesOf(file, begin, end)).pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, "localhost", done));
  return { url: `http://localhost:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

async function start(id: string, url: string, profile: string): Promise<Start & { readonly chrome: string }> {
  const browser = await launchChrome(undefined, [`--user-data-dir=${profile}`]);
  try {
    const page = await openPage(browser);
    page.on("pageerror", (error) => console.log(`page: ${error}`));
    page.setDefaultTimeout(0);
    await page.goto(url);
    await page.waitForFunction(() => "webldmLoading" in globalThis);
    const { at, pipelines, fileBytes, adapter, dtype, gpu } = await page.evaluate(() => globalThis.webldmLoading);
    return { id, at, pipelines, fileBytes, adapter, dtype, most: gpu.most, chrome: await versionOf(browser) };
  } finally {
    await browser.close();
  }
}

export async function runCold(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      cold: { type: "boolean" },
      dtype: { type: "string" },
      model: { type: "string", default: "sd15" },
      starts: { type: "string", default: "3" },
      tokenizer: { type: "string", default: process.env["BENCH_MERGES"] ?? "weights/tokenizers/clip/merges.txt" },
      out: { type: "string", default: "bench/results" },
    },
  });
  const { dtype, model, starts, tokenizer, out } = values;
  const script = await pageScript("bench/loadingPage.ts", "BENCH_LOADING_PAGE");
  const server = await serve(
    await randomFolder(model === "tiny" ? tinyFiles : stableDiffusion15Files, tokenizer),
    script,
  );
  const profile = mkdtempSync(join(tmpdir(), "webldm-bench-"));
  try {
    const address = new URL(server.url);
    const query = { model: "/model/", steps: "20", cache: "1", ...(dtype ? { dtype } : {}) };
    for (const [name, value] of Object.entries(query)) address.searchParams.set(name, value);
    const all = [await start("all caches empty", address.href, profile)];
    for (let i = 1; i < Number(starts); i++) {
      all.push(await start(`weights cached, browser ${i + 1}`, address.href, profile));
    }
    const [{ adapter, chrome }] = all as [(typeof all)[number]];
    const report = {
      date: new Date().toISOString().slice(0, 10),
      versions: { webldm: commit(), chrome },
      model,
      starts: all,
    };
    const name = ["cold", model, adapter, all[0]!.dtype]
      .join("-")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-");
    writeFileSync(join(out, `${name}.json`), compact(report));
    console.log(
      `${adapter}, ${all[0]!.dtype}, ${(all[0]!.fileBytes / 1e9).toFixed(2)} GB of weights, chrome ${chrome}`,
    );
    console.log(showStarts(all));
  } finally {
    server.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

function showStarts(starts: readonly Start[]): string {
  const s = (ms: number) => (ms / 1000).toFixed(2);
  const head = [
    "start",
    "device",
    "weights",
    "compiled",
    "(pipelines)",
    "first step",
    "picture",
    "GPU MB",
    `limit ${s(required)} s`,
  ];
  return table(
    head,
    starts.map(({ id, at, pipelines, most }, i) => [
      id,
      s(at.engine),
      s(at.loaded),
      s(at.compiled),
      `${pipelines} in ${s(at.compiled - at.loaded)}`,
      s(at.firstStep),
      s(at.picture),
      (Math.max(most.loading, most.drawing) / 1e6).toFixed(0),
      i === 0 ? "" : at.firstStep <= required ? "met" : "missed",
    ]),
  );
}
