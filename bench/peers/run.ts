// `npm run bench -- --peers`: this engine beside others in one page of headless Chrome.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { launchChrome, openPage } from "../../test/harness/chrome.js";
import { longCall } from "../longCall.js";
import { serveBlank } from "../speed/blankServer.js";
import { exactTimestamps, versionOf } from "../speed/chromeJob.js";
import { commit } from "../speed/finish.js";
import { table } from "../speed/markdown.js";
import { compact } from "../speed/report.js";
import { peersPage, versionsIn } from "./folder.js";
import type { PeerRow, PeersJob, PeersResult, PeerTime } from "./page.js";

/** Where the page is: made elsewhere, or now. */
async function pageFolder(): Promise<string> {
  const made = process.env["BENCH_PEERS"];
  if (made) return made;
  const folder = join("dist", "tools", "peers");
  await (await import("./files.js")).gatherPeers(folder);
  return folder;
}

export interface PeersReport extends PeersResult {
  readonly date: string;
  readonly small: boolean;
  readonly versions: Readonly<Record<string, string>>;
}

function options(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peers: { type: "boolean" },
      small: { type: "boolean", default: false },
      dtype: { type: "string" },
      without: { type: "string", default: "" },
      runs: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
      out: { type: "string", default: "bench/results" },
    },
  });
  const { small, dtype = small ? "f32" : "f16", without, runs = small ? "7" : "20", only, json, out } = values;
  if (dtype !== "f32" && dtype !== "f16") throw new Error(`--dtype: expected f32 or f16, got ${dtype}`);
  if (!(Number(runs) >= 1)) throw new Error(`--runs: expected a number, got ${runs}`);
  const job: Omit<PeersJob, "versions"> = {
    small,
    dtype,
    without: without.split(",").filter(Boolean),
    runs: Number(runs),
    ...(only ? { only } : {}),
  };
  return { job, json, out };
}

export async function runPeers(args: readonly string[]): Promise<void> {
  const { job, json, out } = options(args);
  const folder = await pageFolder();
  const server = await serveBlank(folder);
  const browser = await launchChrome(undefined, [exactTimestamps]);
  try {
    const page = await openPage(browser);
    page.on("console", (message) => console.log(message.text()));
    page.on("pageerror", (error) => console.log(`page: ${error}`));
    page.setDefaultTimeout(0);
    await page.goto(server.url);
    await page.addScriptTag({ url: new URL(`files/${peersPage}`, server.url).href, type: "module" });
    const packages = versionsIn(folder);
    const given: PeersJob = { ...job, versions: packages };
    const result = await longCall(page, "webldmPeers", given);
    const versions = { webldm: commit(), chrome: await versionOf(browser), ...packages };
    const report: PeersReport = { date: new Date().toISOString().slice(0, 10), small: job.small, versions, ...result };
    if (json) writeFileSync(json, compact(report));
    else console.log(savePeers(out, report, job.only));
    console.log(showPeers(report));
  } finally {
    await browser.close();
    await server.close();
  }
}

function savePeers(folder: string, report: PeersReport, only = ""): string {
  const { small, adapter, dtype } = report;
  const name = ["peers", small ? "small" : only, adapter, dtype]
    .join("-")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(`${path}.json`, compact(report));
  writeFileSync(`${path}.md`, `${showPeers(report)}\n`);
  return `${path}.md`;
}

const label = ({ engine, variant }: PeerTime) => (variant ? `${engine} (${variant})` : engine);

/** The fastest peer with a right result. */
export function bestPeer({ peers }: PeerRow): PeerTime | undefined {
  return peers
    .filter(({ time }) => time)
    .reduce<PeerTime | undefined>((a, b) => (a && a.time!.median <= b.time!.median ? a : b), undefined);
}

/** How many times as long the best peer takes; undefined where there is nothing to compare. */
export function ratioOf(row: PeerRow): number | undefined {
  const best = bestPeer(row);
  return best && row.own.time ? best.time!.median / row.own.time.median : undefined;
}

export function showPeers(report: PeersReport): string {
  const { adapter, dtype, versions, rows, date } = report;
  const cells = rows.flatMap((row) => {
    const best = bestPeer(row);
    return [row.own, ...row.peers].map((entry, i) => {
      const ms = entry.time?.median;
      const relative = ms && row.own.time ? (ms / row.own.time.median).toFixed(2) : "";
      return [
        i === 0 ? row.id : "",
        label(entry),
        ms === undefined ? "" : ms.toPrecision(3),
        relative,
        entry.error === undefined ? "" : entry.error.toExponential(1),
        entry.void ?? (entry === best ? "best peer" : ""),
      ];
    });
  });
  const summary = rows.map((row) => {
    const ratio = ratioOf(row);
    return [
      row.id,
      ratio === undefined ? "no peer" : `${ratio.toFixed(2)}x`,
      ratio !== undefined && ratio < 1 ? "LOSES" : "",
    ];
  });
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${adapter}, ${dtype}, ${date}: ${names.join(", ")}`,
    table(["work", "engine", "ms", "times ours", "error", ""], cells),
    table(["work", "best peer takes", ""], summary),
  ].join("\n\n");
}
