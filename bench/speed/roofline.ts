// Each kernel by how much it computes for each byte, and how fast: below the two roofs of the card.
import { gbytes, tflops } from "./markdown.js";
import type { Report } from "./report.js";
import { type Line, svg } from "./svg.js";

/** Measured ceilings of a card, TFLOP/s and GB/s: its vendor's products of 4096 and its copies. */
const cards: readonly { readonly name: RegExp; readonly f16: number; readonly f32: number; readonly copy: number }[] = [
  { name: /H100|hopper/i, f16: 750, f32: 52, copy: 2430 },
];

/** One plot for each program with products; none where there is nothing to draw. */
export function roofline({ adapter, dtype, vendor, tables }: Report): Map<string, string> {
  const card = cards.find(({ name }) => name.test([adapter, ...Object.values(vendor)].join(" ")));
  const plots = new Map<string, string>();
  for (const { program, rows } of tables) {
    const products = rows.filter((row) => row.flops && row.bytes && row.time.median > 0);
    if (products.length === 0) continue;
    const dots = products.map((row) => ({
      x: row.flops! / row.bytes!,
      y: tflops(row),
      title: `${row.id}: ${row.count} x ${row.time.median.toPrecision(3)} ms, ${gbytes(row).toFixed(0)} GB/s`,
      size: 2 + 14 * Math.sqrt(row.share),
    }));
    const lines: Line[] = [];
    if (card) {
      const peak = dtype === "f16" ? card.f16 : card.f32;
      const ridge = (1000 * peak) / card.copy;
      const least = Math.min(...dots.map(({ x }) => x), ridge / 10);
      const most = Math.max(...dots.map(({ x }) => x), ridge * 4);
      const roof = [
        [least, (least * card.copy) / 1000],
        [ridge, peak],
        [most, peak],
      ] as const;
      lines.push({ label: `${peak} TFLOP/s and ${card.copy} GB/s: the vendor's products and copies`, points: roof });
    }
    const name = `roofline-${program.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
    const title = `${program}, ${dtype}: area is the share of time`;
    plots.set(name, svg({ title, x: "operations for each byte", y: "TFLOP/s", dots, lines }));
  }
  return plots;
}
