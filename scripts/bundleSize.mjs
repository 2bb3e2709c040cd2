// What a page fetches, minified. Used by the build, which fails above the limit, and by the table of sizes.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { wgslPlugin } from "./wgslText.mjs";

/** Most bytes, gzipped, of what pictures from text need. */
export const bundleLimit = 60_000;

/** Shaders that pictures from text may need on a GPU without matrix units, and what records Winograd's. */
const gpuKernel = /^shaders\/(?!.*(Direct|Matrix|Reference|nearestCode|quantile)\.wgsl)|conv2dWinograd\.ts$/;

/**
 * The library for pictures from text (`first`: what `webldm` imports at once), the text of `kernels` that a GPU without matrix
 * units fetches for them, and everything, including what is fetched when it is asked for.
 * @returns {Promise<{ readonly first: Uint8Array, readonly kernels: Uint8Array, readonly all: Uint8Array }>}
 */
export async function bundle() {
  const { outputFiles, metafile } = await build({
    entryPoints: ["src/index.ts"],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "dist",
    write: false,
    metafile: true,
    logLevel: "warning",
    plugins: [wgslPlugin()],
  });
  /** @type {Set<string>} */
  const first = new Set();
  /** @param {string} path */
  const visit = (path) => {
    if (first.has(path)) return;
    first.add(path);
    for (const { path: next, kind } of metafile.outputs[path]?.imports ?? []) {
      if (kind === "import-statement") visit(next);
    }
  };
  visit("dist/index.js");
  /** @param {readonly string[]} paths */
  const joined = (paths) =>
    Buffer.concat(
      outputFiles.filter(({ path }) => paths.some((name) => path.endsWith(name))).map(({ contents }) => contents),
    );
  const forGpu = Object.entries(metafile.outputs)
    .filter(([path, { inputs }]) => !first.has(path) && Object.keys(inputs).some((name) => gpuKernel.test(name)))
    .map(([path]) => path);
  return { first: joined([...first]), kernels: joined(forGpu), all: joined(Object.keys(metafile.outputs)) };
}

/** @param {Uint8Array} code */
export const gzipped = (code) => gzipSync(code, { level: 9 }).byteLength;

/** Fails where the library for pictures from text has outgrown its limit. */
export async function checkBundle() {
  const bytes = gzipped((await bundle()).first);
  if (bytes > bundleLimit) {
    throw new Error(
      `the library for pictures from text takes ${bytes} bytes gzipped, at most ${bundleLimit} are allowed`,
    );
  }
}
