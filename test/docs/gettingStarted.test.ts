import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChrome, launchChrome, openPage } from "../harness/chrome.js";
import { readSource, root } from "../harness/source.js";
import { type Packed, pack } from "../package/packed.js";
import { type Block, blocksOf } from "./blocks.js";

const page = "docs/guides/getting-started.md";
const blocks = blocksOf(page, readSource(page));
const program = await findChrome();
const reason =
  process.platform === "win32"
    ? "the guide is for a POSIX shell"
    : !existsSync(join(root, "weights/sticker/model_index.json"))
      ? "weights/sticker is not here"
      : !program
        ? "no Chrome or Chromium on this machine; set CHROME_PATH to one"
        : "";

const minutes = 60_000;
// No colours in what Vite prints, and packages from npm's cache where it has them.
const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", npm_config_prefer_offline: "true" };

/** The block that has a note, once and no more. */
function only(name: string, value: string): Block {
  const found = blocks.filter(({ notes }) => notes[name] === value);
  if (found.length !== 1) throw new Error(`${page}: ${found.length} blocks are for ${value}, expected one`);
  return found[0]!;
}

/** Replaces what stands there once. */
function replaced(text: string, from: string, to: string): string {
  if (text.split(from).length !== 2) throw new Error(`${page}: expected '${from}' once in\n${text}`);
  return text.replace(from, to);
}

describe.skipIf(reason !== "")(`the guide to getting started${reason && ` [${reason}]`}`, () => {
  const empty = mkdtempSync(join(tmpdir(), "webldm-empty-"));
  let packed: Packed | undefined;
  let vite: ChildProcess | undefined;

  beforeAll(async () => {
    // What differs from the guide: where the clone lies, its package is packed already, and Vite comes from this machine.
    packed = await pack();
    const tarball = join(packed.folder, readdirSync(packed.folder).find((name) => name.endsWith(".tgz"))!);
    const setup = replaced(only("run", "setup").text, "~/webldm", root);
    const fromTarball = replaced(only("run", "install").text, '--install-links "$WEBLDM"\n', `${tarball}\n`);
    const install = replaced(fromTarball, "--save-dev vite\n", `--save-dev ${join(root, "node_modules/vite")}\n`);
    await promisify(execFile)("bash", ["-ec", `${setup}\n${install}`], { cwd: empty, env });
    for (const { notes, text } of blocks) if (notes["write"]) writeFileSync(join(empty, notes["write"]), `${text}\n`);
  }, 8 * minutes);

  afterAll(() => {
    if (vite?.pid) process.kill(-vite.pid);
    packed?.remove();
    rmSync(empty, { recursive: true, force: true });
  });

  /** Runs the guide's last block and waits for the address it prints. */
  function serve(): Promise<string> {
    const child = spawn("bash", ["-ec", only("run", "serve").text], { cwd: empty, env, detached: true });
    vite = child;
    return new Promise((resolve, reject) => {
      let said = "";
      const listen = (data: Buffer) => {
        said += data.toString();
        const [, address] = /(http:\/\/localhost:\d+\/)/.exec(said) ?? [];
        if (address) resolve(address);
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.on("exit", (code) => reject(new Error(`${only("run", "serve").text} ended with ${code}: ${said}`)));
    });
  }

  it("leads to a picture on a page", { timeout: 12 * minutes }, async () => {
    const address = await serve();
    const browser = await launchChrome(program);
    try {
      const tab = await openPage(browser);
      const problems: unknown[] = [];
      tab.on("pageerror", (error) => problems.push(error));
      await tab.goto(address);
      const says = async (pattern: string) => {
        const reached = (source: string) =>
          new RegExp(source).test(document.querySelector("#status")?.textContent ?? "");
        await tab.waitForFunction(reached, { timeout: 6 * minutes }, `^(${pattern}|.*expected.*)`);
        return tab.$eval("#status", (element) => element.textContent ?? "");
      };
      expect(await says("Ready$")).toBe("Ready");
      await tab.$eval("#steps", (input) => {
        (input as HTMLInputElement).value = "2"; // a software driver takes seconds for each
      });
      await tab.click("#draw");
      expect(await says("Drawn in")).toMatch(/^Drawn in [\d.]+ s on \S/);
      const colours = await tab.$eval("#canvas", (element) => {
        const { width, height } = element as HTMLCanvasElement;
        const { data } = (element as HTMLCanvasElement).getContext("2d")!.getImageData(0, 0, width, height);
        return new Set(new Uint32Array(data.buffer)).size;
      });
      expect(colours).toBeGreaterThan(100); // a picture, not one colour
      expect(problems).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
