// Builds the page into dist/studio: scripts and style, icons, and a service worker that knows all files.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { encode } from "fast-png";
import { wgslPlugin } from "./wgslText.mjs";

const out = "dist/studio";

/** @satisfies {import("esbuild").BuildOptions} */
const common = {
  bundle: true,
  minify: true,
  target: "es2022",
  platform: /** @type {const} */ ("browser"),
  logLevel: /** @type {const} */ ("warning"),
};

/** Writes the page. The engine is in the worker's script alone, in one piece: a page that is opened wants few requests. */
export async function studio() {
  mkdirSync(out, { recursive: true });
  await build({
    ...common,
    entryPoints: ["src/studio/studio.tsx", "src/studio/worker.ts", "src/studio/studio.css"],
    outdir: out,
    format: "esm",
    sourcemap: true,
    define: { EMBEDDED_VERSION: JSON.stringify(hashOf("weights/sticker")) },
    plugins: [wgslPlugin()],
  });
  for (const file of ["index.html", "icon.svg", "manifest.webmanifest"]) cpSync(`src/studio/${file}`, `${out}/${file}`);
  for (const size of [192, 512]) writeFileSync(`${out}/icon-${size}.png`, icon(size));
  const files = readdirSync(out).filter((file) => !file.endsWith(".map") && file !== "sw.js");
  await build({
    ...common,
    entryPoints: { sw: "src/studio/serviceWorker.ts" },
    outdir: out,
    format: "iife",
    define: {
      PAGE_VERSION: JSON.stringify(hashOf(out)),
      PAGE_FILES: JSON.stringify(["./", ...files.filter((file) => file !== "index.html")]),
    },
  });
}

/**
 * Of the files below a folder, by name and content.
 * @param {string} folder
 */
function hashOf(folder) {
  const hash = createHash("sha256");
  const entries = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
  for (const path of entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort())
    if (!path.endsWith(".map") && !path.endsWith("sw.js")) hash.update(path).update(readFileSync(path));
  return hash.digest("hex").slice(0, 12);
}

/**
 * The moon of icon.svg as pixels, with soft edges, for systems that take no drawings.
 * @param {number} size
 */
function icon(size) {
  const [ground, moon] = [
    [15, 111, 103],
    [253, 240, 205],
  ];
  const data = new Uint8Array(size * size * 3);
  /** @type {(x: number, y: number, cx: number, cy: number, r: number) => number} */
  const inside = (x, y, cx, cy, r) => Math.min(Math.max((r - Math.hypot(x - cx, y - cy)) * (size / 32) + 0.5, 0), 1);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const at = /** @type {const} */ ([((x + 0.5) * 32) / size, ((y + 0.5) * 32) / size]);
      const share = inside(...at, 15, 16.6, 8.4) * (1 - inside(...at, 20, 12.5, 6.2));
      for (let c = 0; c < 3; c++) data[(y * size + x) * 3 + c] = ground[c] * (1 - share) + moon[c] * share;
    }
  }
  return encode({ width: size, height: size, data, channels: 3, depth: 8 });
}
