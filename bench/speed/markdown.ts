// Reports as tables, for files and for terminals alike.
import type { Report } from "./report.js";
import type { KernelTable, Row } from "./row.js";

const ms = (value: number | undefined) =>
  value === undefined ? "" : value >= 100 ? value.toFixed(0) : value.toPrecision(3);
const MiB = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
const percent = (share: number) => `${(100 * share).toFixed(1)}%`;

export const tflops = ({ flops = 0, time }: Row): number => flops / time.median / 1e9;
export const gbytes = ({ bytes = 0, time }: Row): number => bytes / time.median / 1e6;
const rate = (value: number) => (value > 0 ? value.toPrecision(3) : "");
const errorText = ({ error }: Row) => (error === undefined ? "" : error === 0 ? "0" : error.toExponential(1));

function verdict({ required, aim, time }: Row): string {
  if (required === undefined) return "";
  if (aim !== undefined && time.median <= aim) return "aim met";
  return time.median <= required ? "met" : `missed by ${(time.median / required).toFixed(1)}x`;
}

/** Cells in columns that line up. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, 3, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(head), `|${widths.map((w) => "-".repeat(w + 2)).join("|")}|`, ...rows.map(line)].join("\n");
}

export function rowTable(rows: readonly Row[]): string {
  const head = ["work", "ms", "from", "to", "runs", "TFLOP/s", "GB/s", "error", "required", "aim", "", "note"];
  return table(
    head,
    rows.map((row) => [
      row.id,
      ms(row.time.median),
      ms(row.time.least),
      ms(row.time.most),
      `${row.time.runs}${row.time.by === "host" ? "" : "*"}`,
      rate(tflops(row)),
      rate(gbytes(row)),
      errorText(row),
      ms(row.required),
      ms(row.aim),
      verdict(row),
      row.note ?? "",
    ]),
  );
}

/** The rows that take most, and what the others take together. */
export function kernelText(
  { program, dispatches, pass, sum, rows }: KernelTable,
  most = Number.POSITIVE_INFINITY,
): string {
  const head = ["kernel and shape", "count", "ms each", "share", "TFLOP/s", "GB/s", "error"];
  const shown = rows.slice(0, most);
  const cells = shown.map((row) => [
    row.id,
    String(row.count),
    ms(row.time.median),
    percent(row.share),
    rate(tflops(row)),
    rate(gbytes(row)),
    errorText(row),
  ]);
  const rest = rows.slice(most);
  if (rest.length > 0) {
    const [count, share] = [rest.reduce((n, r) => n + r.count, 0), rest.reduce((n, r) => n + r.share, 0)];
    cells.push([`${rest.length} others`, String(count), "", percent(share), "", "", ""]);
  }
  const title = `${program}: ${dispatches} dispatches, ${ms(sum)} ms one by one, ${ms(pass.median)} ms in one pass`;
  return `${title}\n\n${table(head, cells)}`;
}

function memoryText({ memory }: Report): string[] {
  if (!memory) return [];
  const { weights, picture512, picture1024 } = memory;
  const beyond = (bytes: number) => `${MiB(bytes)} MiB, ${MiB(bytes - weights)} beyond the weights`;
  return [
    `GPU memory: weights ${MiB(weights)} MiB; a picture at most ${beyond(picture512)}${picture1024 ? `; one of twice the side ${beyond(picture1024)}` : ""}.`,
  ];
}

function growthText({ growth }: Report): string[] {
  return growth.map(({ id, points, stopped }) => {
    const cells = points.map(({ x, time, flops, bytes }) => [
      String(x),
      ms(time.median),
      rate(flops / time.median / 1e9),
      MiB(bytes),
    ]);
    return `${table([id, "ms a step", "TFLOP/s", "MiB beyond weights"], cells)}${stopped ? `\n\nStopped: ${stopped}` : ""}`;
  });
}

/** A report as a page; `most` kernels a program. */
export function markdown(report: Report, plots: readonly (readonly [string, string])[] = [], most?: number): string {
  const { adapter, dtype, path, without, model, host, date, versions, rows, tables, loading, pipelines } = report;
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${[
    `# ${adapter}, ${model}, ${dtype}${without.length ? `, without ${without.join(" and ")}` : ""}`,
    `${date}, ${host}: ${software.join(", ")}. Kernels: ${path}. ${pipelines} pipelines${loading === undefined ? "" : `; random weights on the device after ${ms(loading)} ms`}.`,
    ...(rows.length > 0
      ? [
          rowTable(rows),
          "Medians. Runs with * are times on the device, in passes that repeat short work; the others are the host's, until the device is done. Errors are relative (root mean square): of operators against float64, of whole networks against float32 by other kernels.",
        ]
      : []),
    ...memoryText(report),
    ...tables.map((t) => kernelText(t, most)),
    ...growthText(report),
    ...plots.map(([name, file]) => `![${name}](${file})`),
  ].join("\n\n")}\n`;
}
