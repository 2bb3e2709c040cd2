import { expect, it } from "vitest";
import { filesBelow, readSource } from "../harness/source.js";

const guide = readSource("docs/guides/memory-and-speed.md");
const readme = readSource("README.md");

it("tells the sizes that the README has from `npm run sizes`", () => {
  const sizes = [...guide.matchAll(/(\d+\.\d) MiB/g)].map(([, size]) => size);
  expect(sizes.length).toBeGreaterThanOrEqual(5);
  expect(sizes.filter((size) => !readme.includes(`| ${size} MiB |`))).toEqual([]);
});

it("tells the times of the embedded model that bench/results has", () => {
  const results = filesBelow("bench/results", ".json").map((path) => ({ path, ...JSON.parse(readSource(path)) }));
  const told = { chrome: /(\d\.\d+) ms in Chromium/, node: /(\d\.\d+) ms in Node/ };
  for (const [host, pattern] of Object.entries(told)) {
    const [, milliseconds = ""] = pattern.exec(guide) ?? [];
    const measured = results.find((result) => result.path.includes(`/${host}-`) && /nvidia/i.test(result.adapter));
    expect(measured.sampling.perStep.toPrecision(2), host).toBe(milliseconds);
  }
});

/** The milliseconds of a row of a table in bench/results. */
function measured(file: string, work: string): string {
  const row = readSource(`bench/results/speed-${file}.md`)
    .split("\n")
    .find((line) => line.startsWith(`| ${work} `));
  return row?.split("|")[2]?.trim() ?? `no row of ${work}`;
}

it("tells the times of Stable Diffusion 1.5 that bench/results has", () => {
  const works = ["UNet step batch 2", "VAE decode 512", "20-step picture 512"];
  const node = "node-nvidia-580-159-04-580-159-4-0-sd15";
  const whole = {
    "headless Chromium 156, matrix units": "chrome-nvidia-h200-sd15-f16-cases",
    "Dawn in Node, matrix units": `${node}-f16-cases`,
    "Dawn in Node, without them": `${node}-f16-no-matrix-cases`,
    "Dawn in Node, without them, float32": `${node}-f32-no-matrix-no-f16-cases`,
  };
  for (const [name, file] of Object.entries(whole)) {
    const [step, decoder, picture] = works.map((work) => measured(file, work));
    expect(readme).toContain(`| ${name} | ${step} ms | ${decoder} ms | ${picture} ms |`);
  }
});
