import { expect, it } from "vitest";
import { filesBelow, readSource } from "../harness/source.js";

const guide = readSource("docs/guides/memory-and-speed.md");

it("tells the sizes that the README has from `npm run sizes`", () => {
  const sizes = [...guide.matchAll(/(\d+\.\d) MiB/g)].map(([, size]) => size);
  const readme = readSource("README.md");
  expect(sizes.length).toBeGreaterThanOrEqual(5);
  expect(sizes.filter((size) => !readme.includes(`| ${size} MiB |`))).toEqual([]);
});

it("tells the times that bench/results has", () => {
  const results = filesBelow("bench/results", ".json").map((path) => ({ path, ...JSON.parse(readSource(path)) }));
  const told = { llvmpipe: /takes (\d\.\d+) s on lavapipe/, SwiftShader: /and (\d\.\d+) s on\s+SwiftShader/ };
  for (const [adapter, pattern] of Object.entries(told)) {
    const [, seconds = ""] = pattern.exec(guide) ?? [];
    const measured = results.find((result) => /\/node-/.test(result.path) && result.adapter.includes(adapter));
    expect((measured.sampling.perStep / 1000).toPrecision(2), adapter).toBe(seconds);
  }
});
