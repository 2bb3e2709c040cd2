// Builds dist/: the library and its worker, the command line, the page and the type declarations. `--page`: the page alone.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { checkBundle } from "./bundleSize.mjs";
import { studio } from "./studioPage.mjs";
import { wgslPlugin } from "./wgslText.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const started = performance.now();
const pageOnly = process.argv.includes("--page");
rmSync(pageOnly ? "dist/studio" : "dist", { recursive: true, force: true });
mkdirSync("dist", { recursive: true });

/** @param {string[]} entries */
function present(entries) {
  for (const entry of entries) if (!existsSync(entry)) console.log(`build: ${entry} does not exist, skipped`);
  return entries.filter((entry) => existsSync(entry));
}

/** @satisfies {import("esbuild").BuildOptions} */
const common = {
  bundle: true,
  format: /** @type {const} */ ("esm"),
  target: "es2022",
  logLevel: /** @type {const} */ ("warning"),
  plugins: [wgslPlugin()],
};

async function library() {
  const entryPoints = present(["src/index.ts", "src/core.ts", "src/worker.ts"]);
  if (entryPoints.length === 0) return;
  await build({
    ...common,
    entryPoints,
    outdir: "dist",
    platform: "browser",
    splitting: true,
    chunkNames: "shared-[hash]",
    sourcemap: true,
  });
}

/** In one piece: bundlers make a script of its own of it, for which most of them know no further chunks. */
async function worker() {
  const entryPoints = present(["src/worker-entry.ts"]);
  if (entryPoints.length === 0) return;
  await build({ ...common, entryPoints, outfile: "dist/worker-entry.js", platform: "browser", sourcemap: true });
}

async function commandLine() {
  const entryPoints = present(["src/cli/main.ts"]);
  if (entryPoints.length === 0) return;
  await build({
    ...common,
    entryPoints,
    outfile: "dist/cli.js",
    platform: "node",
    target: "node20",
    packages: "external",
    sourcemap: true,
  });
}

async function page() {
  const entryPoints = present(["src/studio/studio.tsx", "src/studio/worker.ts", "src/studio/studio.css"]);
  const engine = present(["src/index.ts"]);
  if (entryPoints.length < 3 || engine.length === 0) return;
  await studio();
}

/** @returns {Promise<boolean>} */
async function types() {
  if (!existsSync("src/index.ts") || !existsSync("src/core.ts")) return true;
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [tsc, "-p", "tsconfig.build.json"], { stdio: "inherit" });
    child.on("exit", (code) => resolve(code === 0));
    child.on("error", () => resolve(false));
  });
}

const typed = pageOnly ? Promise.resolve(true) : types(); // the slow part: beside the others
const bundles = await Promise.allSettled(
  pageOnly ? [page()] : [library(), checkBundle(), worker(), commandLine(), page()],
);
for (const bundle of bundles)
  if (bundle.status === "rejected") console.error(`build: ${bundle.reason?.message ?? bundle.reason}`);
if (!(await typed)) {
  console.error("build: the type declarations have errors");
  process.exitCode = 1;
}
if (bundles.some((bundle) => bundle.status === "rejected")) process.exitCode = 1;
console.log(`build: dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s`);
