// The regression check: the same rows of two reports side by side.
import { median } from "./clock.js";
import { table } from "./markdown.js";
import type { Report } from "./report.js";
import type { Row } from "./row.js";

export interface Comparison {
  readonly id: string;
  readonly before: number;
  readonly after: number;
  /** Above 1: slower. */
  readonly ratio: number;
  readonly worse: boolean;
}

/** Slower by more than this, and by more than runs scatter, is worse. */
const tolerated = 1.05;

const allRows = ({ rows, tables }: Report): Map<string, Row> =>
  new Map([
    ...rows.map((row) => [row.id, row] as const),
    ...tables.flatMap(({ program, rows: own, pass }) => [
      [`${program}, in one pass`, { id: program, time: pass }] as const,
      ...own.map((row) => [`${program}: ${row.id}`, row] as const),
    ]),
  ]);

export function compareReports(before: Report, after: Report): Comparison[] {
  const old = allRows(before);
  return [...allRows(after)].flatMap(([id, row]) => {
    const was = old.get(id);
    if (!was) return [];
    const ratio = row.time.median / was.time.median;
    const scattered = row.time.least <= was.time.most;
    const lessExact = (row.error ?? 0) > 1.5 * (was.error ?? Number.POSITIVE_INFINITY);
    const worse = (ratio > tolerated && !scattered) || ratio > 1.5 || lessExact;
    return [{ id, before: was.time.median, after: row.time.median, ratio, worse }];
  });
}

export function showComparison(rows: readonly Comparison[]): string {
  if (rows.length === 0) return "The reports have no row in common.";
  const cells = rows.map(({ id, before, after, ratio, worse }) => [
    id,
    before.toPrecision(3),
    after.toPrecision(3),
    ratio.toFixed(2),
    worse ? "WORSE" : "",
  ]);
  const worse = rows.filter((row) => row.worse).length;
  const middle = median(rows.map(({ ratio }) => ratio)).toFixed(2);
  return `${table(["row", "ms before", "ms after", "ratio", ""], cells)}\n\n${rows.length} rows, median ratio ${middle}, ${worse} worse`;
}
