// `npm test`: finds the adapters of this machine, runs Vitest with all of them visible, and ends with what was skipped
// and one line of counts. Arguments go to Vitest: `npm test -- test/ops`.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { prepareVulkan } from "./vulkan.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "webldm-test-"));
const report = join(folder, "report.json");
const vulkan = await prepareVulkan(process.env, { all: true });
const env = {
  ...process.env,
  ...vulkan.env,
  WEBLDM_ADAPTERS: process.env["WEBLDM_ADAPTERS"] ?? vulkan.adapters.join(","),
  WEBLDM_MISSING: JSON.stringify(vulkan.missing),
};
console.log(`adapters: ${env.WEBLDM_ADAPTERS || "none"}`);
for (const [name, reason] of Object.entries(vulkan.missing)) console.log(`  without ${name}: ${reason}`);

const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const reporters = ["--reporter=default", "--reporter=./test/harness/reporter.ts"];
const args = [vitest, "run", ...reporters, ...process.argv.slice(2)];
const child = spawn(process.execPath, args, {
  cwd: root,
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...env, WEBLDM_REPORT: report },
});
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => {
  const status = summarise(code ?? 1);
  rmSync(folder, { recursive: true, force: true });
  process.exit(status);
});

/**
 * @param {number} code of Vitest
 * @returns {number} the status to exit with
 */
function summarise(code) {
  /** @type {import("../test/harness/reporter.js").Report} */
  let result;
  try {
    result = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    console.log("\nVitest ended without a report.\n0 passed, 1 failed, 0 skipped");
    return code || 1;
  }
  if (result.skipped.length) {
    /** @type {Map<string, number>} */
    const rows = new Map();
    for (const { file, reason } of result.skipped) {
      const row = `${relative(root, file)}: ${reason}`;
      rows.set(row, (rows.get(row) ?? 0) + 1);
    }
    console.log("\nSkipped:");
    for (const [row, count] of rows) console.log(`${String(count).padStart(5)}  ${row}`);
  }
  for (const message of result.errors) console.log(`\n${message}`);
  const failed = result.failed + result.errors.length;
  console.log(`\n${result.passed} passed, ${failed} failed, ${result.skipped.length} skipped`);
  return code || (failed ? 1 : 0);
}
