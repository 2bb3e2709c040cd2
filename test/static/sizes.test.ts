// What the README states about sizes is what the code gives.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { planned, sizes, withTable } from "../../bench/sizes.js";
import { bundle, bundleLimit, gzipped } from "../../scripts/bundleSize.mjs";

it("keeps the library for pictures from text within 60 kB, gzipped", async () => {
  expect(gzipped((await bundle()).first)).toBeLessThan(bundleLimit);
});

it("states them in the README (npm run sizes -- --write)", async () => {
  const readme = readFileSync("README.md", "utf8");
  // Compressed sizes vary a little between versions of the compressor; the rest is exact.
  const stated = (text: string) => text.replace(/^.*(minified|gzipped).*$/gm, "");
  expect(stated(readme)).toBe(stated(withTable(readme, await sizes())));
});

it("reuses memory: a step of Stable Diffusion 1.5 stays near the least possible", () => {
  const { denoise } = planned("f16");
  const slots = denoise.slots.reduce((a, b) => a + b, 0);
  expect(slots).toBeLessThan(1.5 * denoise.floor);
  expect(slots).toBeLessThan(0.1 * denoise.unshared);
});
