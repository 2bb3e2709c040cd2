// Runs a TypeScript tool of this repository: `node scripts/run.mjs bench/node.ts [arguments]`. It is bundled first, with
// shaders as text, and gets the environment that Dawn needs. `--bundle FILE` writes the bundle instead, for a machine
// without the development tools.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { prepareVulkan } from "./vulkan.mjs";
import { wgslPlugin } from "./wgslText.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [entry, ...rest] = process.argv.slice(2);
if (!entry) {
  console.error("usage: node scripts/run.mjs FILE.ts [arguments] | FILE.ts --bundle OUT.mjs");
  process.exit(2);
}
const bundleOnly = rest[0] === "--bundle";
const forPage = bundleOnly && /page\.ts$/i.test(entry); // a script that a bench puts into a page
const outfile = bundleOnly ? rest[1] : join(root, "dist", "tools", `${basename(entry, ".ts")}.mjs`);
mkdirSync(dirname(outfile), { recursive: true });
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "esm",
  platform: forPage ? "browser" : "node",
  target: forPage ? "es2022" : "node20",
  sourcemap: bundleOnly ? false : "inline", // what travels is small
  logLevel: "warning",
  plugins: [wgslPlugin()],
  // A bare machine carries Dawn, and the driver of the browser without the package that would install one.
  ...(bundleOnly && !forPage
    ? {
        external: ["webgpu", "puppeteer-core", "@sparticuz/chromium"],
        alias: { puppeteer: "puppeteer-core" },
        banner: {
          js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
        },
      }
    : forPage
      ? {}
      : { packages: /** @type {const} */ ("external") }),
});
if (!bundleOnly) {
  const { env } = await prepareVulkan();
  const child = spawn(process.execPath, [outfile, ...rest], { stdio: "inherit", env: { ...process.env, ...env } });
  child.on("exit", (code) => process.exit(code ?? 1));
}
