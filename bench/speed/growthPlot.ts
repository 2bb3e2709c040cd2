import type { Report } from "./report.js";
import { svg } from "./svg.js";

const axes = { resolution: "pixels along a side", batch: "pictures", channels: "channels of the first level" } as const;

/** Time and memory of a step as its request grows, beside what would grow in proportion to the work. */
export function growthPlots({ growth, adapter, dtype }: Report): Map<string, string> {
  const plots = new Map<string, string>();
  for (const { id, points } of growth) {
    if (points.length < 2) continue;
    const [first] = points;
    const work = points.map(({ x, flops }) => [x, (first!.time.median * flops) / first!.flops] as const);
    const time = points.map(({ x, time }) => [x, time.median] as const);
    const memory = points.map(({ x, bytes }) => [x, bytes / 2 ** 20] as const);
    const title = `A step by ${id}: ${adapter}, ${dtype}`;
    const lines = [
      { label: "measured", points: time },
      { label: "as the first point, in proportion to the operations", points: work },
    ];
    plots.set(`growth-${id}-time`, svg({ title, x: axes[id], y: "milliseconds", lines }));
    const label = "buffers beyond the weights";
    plots.set(`growth-${id}-memory`, svg({ title, x: axes[id], y: "MiB", lines: [{ label, points: memory }] }));
  }
  return plots;
}
