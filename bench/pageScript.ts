import { readFileSync } from "node:fs";

/** The script that a bench puts into its page: `entry`, bundled now, or a bundle made elsewhere that a variable names. */
export async function pageScript(entry: string, variable = "BENCH_PAGE"): Promise<string> {
  const made = process.env[variable];
  if (made) return readFileSync(made, "utf8");
  const { build } = await import("esbuild");
  const { wgslPlugin } = await import("../scripts/wgslText.mjs");
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    plugins: [wgslPlugin()],
  });
  return outputFiles[0]!.text;
}
