// Sizes that the README states: `npm run sizes` prints them, `npm run sizes -- --write` puts them into the README.
// Dispatches and bytes of Stable Diffusion 1.5 are computed from its configuration; no weights are needed.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle, gzipped } from "../scripts/bundleSize.mjs";
import { decodeLatent } from "../src/models/autoencoder.js";
import { winograd } from "../src/ops/conv2dWinograd.js";
import { contextGraph } from "../src/pipeline/contextEncoder.js";
import { decoderGraph } from "../src/pipeline/decoderGraph.js";
import { denoiseGraph } from "../src/pipeline/denoiser.js";
import { measure, poolBytes } from "../src/plan/measure.js";
import { stableDiffusion15 } from "./configs.js";

const MiB = 2 ** 20;
const mib = (bytes: number) => `${(bytes / MiB).toFixed(1)} MiB`;
const kb = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;

const folderBytes = (path: string): number =>
  readdirSync(path, { withFileTypes: true }).reduce((sum, entry) => {
    const inside = join(path, entry.name);
    return sum + (entry.isDirectory() ? folderBytes(inside) : statSync(inside).size);
  }, 0);

export function planned(dtype: "f32" | "f16") {
  const latent = { images: 1, height: 64, width: 64 };
  const shape = {
    ...latent,
    guided: true,
    guidanceRescale: false,
    contextLength: 77,
    noise: "torch" as const,
    stepNoise: false,
    thresholding: false as const,
    registers: 0,
  };
  const settings = { dtype, maxBinding: 128 * MiB, winograd };
  const text = measure(contextGraph(stableDiffusion15, 2, settings).graph);
  const denoise = measure(denoiseGraph(stableDiffusion15, shape, settings).graph);
  const decode = measure(decoderGraph(stableDiffusion15.firstStage, latent, settings, decodeLatent).graph);
  const all = [text, denoise, decode];
  return {
    denoise,
    decode,
    weights: all.reduce((sum, m) => sum + m.weights, 0),
    pool: poolBytes(all),
    pinned: all.reduce((sum, m) => sum + m.pinned, 0),
  };
}

export async function sizes(): Promise<string> {
  const { first, kernels, all } = await bundle();
  const f16 = planned("f16");
  const f32 = planned("f32");
  const slots = (m: { slots: readonly number[] }) => m.slots.reduce((a, b) => a + b, 0);
  const row = (name: string, a: string, b: string) => `| ${name} | ${a} | ${b} |`;
  return [
    "| what | size |",
    "|---|---|",
    `| \`weights/\` (the embedded model and its card) | ${mib(folderBytes("weights/sticker") + folderBytes("weights/tokenizers"))} |`,
    `| the library for pictures from text, minified | ${kb(first.byteLength)} |`,
    `| the same, gzipped | ${kb(gzipped(first))} |`,
    `| the kernels that a GPU without matrix units fetches beside it, gzipped | ${kb(gzipped(kernels))} |`,
    `| with all tasks and formats, fetched when asked for: minified | ${kb(all.byteLength)} |`,
    `| the same, gzipped | ${kb(gzipped(all))} |`,
    "",
    "| Stable Diffusion 1.5, 512 × 512, guidance | f16 | f32 |",
    "|---|---|---|",
    row("dispatches a step", String(f16.denoise.dispatches.step), String(f32.denoise.dispatches.step)),
    row("dispatches once per prompt", String(f16.denoise.dispatches.prompt), String(f32.denoise.dispatches.prompt)),
    row("dispatches of the decoder", String(f16.decode.dispatches.step), String(f32.decode.dispatches.step)),
    row("weights (text encoder, UNet, decoder)", mib(f16.weights), mib(f32.weights)),
    row("intermediates of a step, planned", mib(slots(f16.denoise)), mib(slots(f32.denoise))),
    row("… without reuse", mib(f16.denoise.unshared), mib(f32.denoise.unshared)),
    row("… least possible", mib(f16.denoise.floor), mib(f32.denoise.floor)),
    row("intermediates of all programs, shared", mib(f16.pool), mib(f32.pool)),
    row("inputs, latent, context, keys and values", mib(f16.pinned), mib(f32.pinned)),
  ].join("\n");
}

const begin = "<!-- sizes -->";
const end = "<!-- /sizes -->";

/** The README with the table between its marks replaced. */
export function withTable(readme: string, table: string): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md: expected the marks ${begin} and ${end}`);
  return `${readme.slice(0, from + begin.length)}\n${table}\n${readme.slice(to)}`;
}

if (process.argv[1]?.endsWith("sizes.mjs")) {
  const table = await sizes();
  console.log(table);
  if (process.argv.includes("--write")) {
    writeFileSync("README.md", withTable(readFileSync("README.md", "utf8"), table));
  }
}
