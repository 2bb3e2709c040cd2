import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { decode } from "fast-png";
import { afterAll, beforeAll, expect, it } from "vitest";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import type { Device } from "../../src/gpu/device.js";
import { onDevices } from "../harness/gpu.js";
import { readSource, root } from "../harness/source.js";

const path = "docs/examples/superResolution.ts";
const published = join(root, "node_modules/@upscalerjs/default-model");
type Floats = Float32Array<ArrayBuffer>;
type Layer = { readonly name: string; readonly shape: number[] };

/** What the file exports, by the types of this repository: its own are those of the package that was built. */
interface Example {
  readLayers(layers: readonly Layer[], file: Floats): ReadonlyMap<string, unknown>;
  enlarge(device: Device, weights: ReadonlyMap<string, unknown>, pixels: Floats, width: number): Promise<Floats>;
}

const limit = 80; // dB: 94 means that 5 of the 196,608 values are rounded the other way
const folder = mkdtempSync(join(tmpdir(), "webldm-example-"));
let example: Example;

// The file as people copy it; `webldm/core` is this repository's.
beforeAll(async () => {
  const outfile = join(folder, "example.mjs");
  const alias = { "webldm/core": join(root, "src/core.ts") };
  const entryPoints = [join(root, path)];
  await build({ entryPoints, outfile, alias, bundle: true, format: "esm", platform: "node", plugins: [wgslPlugin()] });
  example = (await import(pathToFileURL(outfile).href)) as Example;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** R, G, B from 0 to 255 of a PNG. */
function openPicture(name: string): { pixels: Floats; width: number } {
  const { data, channels, width } = decode(readFileSync(join(published, "assets", name)));
  return { pixels: Float32Array.from([...data].filter((_, i) => i % channels < 3)), width };
}

/** The published layers and their numbers. */
function openWeights(): [readonly Layer[], Floats] {
  const model = JSON.parse(readFileSync(join(published, "models/model.json"), "utf8"));
  const bytes = Uint8Array.from(readFileSync(join(published, "models/group1-shard1of1.bin")));
  return [model.weightsManifest[0].weights, new Float32Array(bytes.buffer)];
}

/** Peak signal to noise, of values rounded as pixels are, in dB. */
function psnr(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    error += (Math.min(Math.max(Math.round(values[i]!), 0), 255) - expected[i]!) ** 2;
  }
  return 10 * Math.log10(255 ** 2 / (error / expected.length));
}

it("takes fewer than 60 lines", () => {
  expect(readSource(path).trimEnd().split("\n").length).toBeLessThan(60);
});

onDevices("the super-resolution network of @upscalerjs/default-model", ({ device }) => {
  it("gives the picture that was published with it", async () => {
    const small = openPicture("fixture.png");
    const expected = openPicture("samples/2x/result.png");
    const weights = example.readLayers(...openWeights());
    const doubled = await example.enlarge(device(), weights, small.pixels, small.width);
    expect(doubled).toHaveLength(expected.pixels.length);
    expect(psnr(doubled, expected.pixels)).toBeGreaterThan(limit);
  });

  it("does not give it with one weight of the file off", async () => {
    const small = openPicture("fixture.png");
    const expected = openPicture("samples/2x/result.png");
    const [layers, values] = openWeights();
    values[values.length - 1]! += 1; // a bias of the layer before the last
    const doubled = await example.enlarge(device(), example.readLayers(layers, values), small.pixels, small.width);
    expect(psnr(doubled, expected.pixels)).toBeLessThan(limit);
  });
});
