// The launcher may have to run the command line in a child process. Killed outright, it cannot pass that on.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { root } from "../harness/source.js";
import { cliDevice, useCli } from "./useCli.js";

const { folder, cli } = useCli();
const pictures = (): number => {
  try {
    return readdirSync(join(folder, "out")).filter((name) => name.endsWith(".png")).length;
  } catch {
    return 0;
  }
};

it("takes the command along when it is killed", { timeout: 60_000 }, async (context) => {
  if (!cliDevice || cliDevice.name === "gpu") return context.skip("the launcher starts no child process here");
  const home = join(folder, "package");
  mkdirSync(join(home, "dist"), { recursive: true });
  cpSync(join(root, "bin"), join(home, "bin"), { recursive: true });
  cpSync(cli, join(home, "dist/cli.js"));
  for (const name of ["node_modules", "package.json", "weights"]) symlinkSync(join(root, name), join(home, name));
  writeFileSync(join(folder, "jobs.jsonl"), '{"prompt": "a fox"}\n'.repeat(200));
  // The launcher must decide by itself: what this test runner found is hidden from it.
  const { VK_ICD_FILENAMES: _icd, LD_LIBRARY_PATH: _path, WEBLDM_ADAPTER: _adapter, ...env } = process.env;
  const args = ["batch", "jobs.jsonl", "--out", "out", "--steps", "1", "--width", "32", "--height", "32"];
  const launcher = spawn(process.execPath, [join(home, "bin/webldm.mjs"), ...args], {
    cwd: folder,
    env,
    stdio: "ignore",
  });
  const ended = new Promise((done) => launcher.on("exit", done));
  while (pictures() < 2 && launcher.exitCode === null) await delay(20);
  expect(launcher.exitCode).toBeNull();
  launcher.kill("SIGKILL");
  await ended;
  await delay(1000); // time in which some jobs would be done
  const left = pictures();
  await delay(2000);
  expect(pictures()).toBe(left);
  expect(left).toBeLessThan(200);
});
