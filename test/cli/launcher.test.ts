// The command as a person starts it: through the launcher, which finds the drivers of the machine.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { adapterNames } from "../harness/adapters.js";

it("draws a picture, and prints nothing but one line", async (context) => {
  if (!existsSync("dist/cli.js")) return context.skip("dist/cli.js is not built");
  if (adapterNames.length === 0) return context.skip("no adapter on this machine");
  const folder = mkdtempSync(join(tmpdir(), "webldm-launcher-"));
  try {
    // The launcher must decide by itself: what this test runner found is hidden from it.
    const { VK_ICD_FILENAMES: _icd, LD_LIBRARY_PATH: _path, WEBLDM_ADAPTER: _adapter, ...env } = process.env;
    const size = ["--steps", "1", "--width", "32", "--height", "32", "--seed", "1", "--out", "fox.png"];
    const args = [resolve("bin/webldm.mjs"), "generate", "a fox", ...size];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: folder, env });
    expect(stdout).toMatch(/^fox\.png: 32 x 32, 1 steps, seed 1, [\d.]+ s on .+\n$/);
    expect(stderr).toBe("");
    expect(existsSync(join(folder, "fox.png"))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
