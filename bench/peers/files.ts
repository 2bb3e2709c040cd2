// The other engines' packages: installed when they are first asked for, and brought into one folder for a page.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import { peersPage, versionsFile } from "./folder.js";

const wasm = ["ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"];

const folder = join("bench", "peers");

/** Puts all that the page of the peers needs into a folder. */
export async function gatherPeers(out: string): Promise<void> {
  if (!existsSync(join(folder, "node_modules", "onnxruntime-web"))) {
    console.log("installing the other engines");
    execFileSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: "inherit" });
  }
  mkdirSync(out, { recursive: true });
  const dist = join(folder, "node_modules", "onnxruntime-web", "dist");
  for (const name of wasm) copyFileSync(join(dist, name), join(out, name));
  const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  writeFileSync(join(out, versionsFile), JSON.stringify(dependencies));
  await build({
    entryPoints: [join(folder, "page.ts")],
    outfile: join(out, peersPage),
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["onnxruntime-web-use-extern-wasm"], // its WebAssembly comes from this folder
    logLevel: "error",
    plugins: [wgslPlugin()],
  });
}
