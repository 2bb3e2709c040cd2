import { expect, it } from "vitest";
import { compareReports, showComparison } from "../../bench/speed/compare.js";
import { markdown } from "../../bench/speed/markdown.js";
import { speedOptions } from "../../bench/speed/options.js";
import type { Report } from "../../bench/speed/report.js";
import { roofline } from "../../bench/speed/roofline.js";
import { withheld } from "../../bench/speed/without.js";

const time = (median: number) => ({
  median,
  least: median * 0.99,
  most: median * 1.01,
  runs: 20,
  repeats: 1,
  by: "device" as const,
});
const row = (id: string, ms: number) => ({ id, time: time(ms), flops: 1e9, bytes: 1e6, error: 1e-4 });

const report = (ms: Readonly<Record<string, number>>): Report => ({
  host: "node",
  date: "2026-01-01",
  versions: { webldm: "1" },
  adapter: "NVIDIA H100",
  vendor: {},
  dtype: "f16",
  path: "f16",
  features: [],
  without: [],
  model: "sd15",
  rows: Object.entries(ms).map(([id, value]) => row(id, value)),
  tables: [
    { program: "step", dispatches: 1, pass: time(2), sum: 2, rows: [{ ...row("linear 1x1", 1), count: 2, share: 1 }] },
  ],
  growth: [],
  pipelines: 1,
});

it("names what has become slower by more than runs scatter", () => {
  const rows = compareReports(report({ a: 1, b: 1, c: 1, gone: 1 }), report({ a: 1.3, b: 1.01, c: 0.5, added: 1 }));
  expect(rows.filter(({ worse }) => worse).map(({ id }) => id)).toEqual(["a"]);
  expect(rows.map(({ id }) => id)).toEqual(["a", "b", "c", "step, in one pass", "step: linear 1x1"]);
  expect(showComparison(rows)).toContain("1 worse");
});

it("names what has become less exact", () => {
  const after = report({ a: 1 });
  const rows = compareReports(report({ a: 1 }), { ...after, rows: [{ ...after.rows[0]!, error: 1e-3 }] });
  expect(rows[0]!.worse).toBe(true);
});

it("writes a table and a plot of each program", () => {
  const text = markdown({ ...report({}), rows: [{ ...row("UNet", 30), required: 24, aim: 12 }] });
  expect(text).toMatch(/UNet +\| 30\.0 .* 0\.0333 .*missed by 1\.3x/);
  const [[name, svg]] = [...roofline(report({}))] as [[string, string]];
  expect(name).toBe("roofline-step");
  expect(svg).toContain("linear 1x1: 2 x 1.00 ms");
});

it("withholds features from what a device may ask for", () => {
  const adapter = { features: new Set(["shader-f16", "subgroups"]), limits: {}, info: {} } as unknown as GPUAdapter;
  expect([...withheld(adapter, ["f16"]).features]).toEqual(["subgroups"]);
  expect(() => withheld(adapter, ["warp"])).toThrow("--without: expected matrix, f16, subgroups, timestamps, got warp");
});

it("reads options, and refuses those that mean nothing", () => {
  expect(speedOptions(["--steps", "3"])).toBeUndefined();
  expect(speedOptions(["--cases", "--without", "matrix,f16"])?.job).toMatchObject({
    without: ["matrix", "f16"],
    runs: 20,
  });
  expect(speedOptions(["--compare", "a.json", "b.json"])?.compare).toEqual(["a.json", "b.json"]);
  expect(() => speedOptions(["--compare", "a.json"])).toThrow("OLD.json NEW.json");
  expect(() => speedOptions(["--cases", "--dtype", "f8"])).toThrow("f8");
});
