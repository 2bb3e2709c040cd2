// Plots on logarithmic axes as plain SVG.
export interface Dot {
  readonly x: number;
  readonly y: number;
  /** Shown when pointed at. */
  readonly title: string;
  /** Radius in pixels. */
  readonly size?: number;
}

export interface Line {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly dots?: readonly Dot[];
  readonly lines?: readonly Line[];
}

const [width, height, margin] = [720, 420, 60];
const colours = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad"];

const escaped = (text: string) => text.replace(/[<&>]/g, (c) => `&#${c.charCodeAt(0)};`);
const short = (value: number) =>
  value >= 1e5 || value < 1e-3 ? value.toExponential(0) : String(Number(value.toPrecision(3)));

/** Ticks at 1, 2 and 5 times powers of ten; at the powers alone where there are many. */
function ticks(from: number, to: number): number[] {
  const decades = Math.log10(to / from);
  const steps = decades > 3 ? [1] : [1, 2, 5];
  const first = Math.floor(Math.log10(from));
  const all = Array.from({ length: Math.ceil(decades) + 2 }, (_, i) => steps.map((s) => s * 10 ** (first + i))).flat();
  return all.filter((t) => t >= from * 0.999 && t <= to * 1.001);
}

export function svg({ title, x, y, dots = [], lines = [] }: Plot): string {
  const all = [...dots.map((d) => [d.x, d.y] as const), ...lines.flatMap((l) => l.points)];
  const range = (values: readonly number[]): [number, number] => [Math.min(...values) / 1.3, Math.max(...values) * 1.3];
  const [x0, x1] = range(all.map(([a]) => a));
  const [y0, y1] = range(all.map(([, b]) => b));
  const px = (v: number) => +(margin + (Math.log(v / x0) / Math.log(x1 / x0)) * (width - 1.5 * margin)).toFixed(1);
  const py = (v: number) =>
    +(height - margin - (Math.log(v / y0) / Math.log(y1 / y0)) * (height - 2 * margin)).toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${width / 2}" y="24" text-anchor="middle" font-size="14">${escaped(title)}</text>`,
    `<text x="${width / 2}" y="${height - 16}" text-anchor="middle">${escaped(x)}</text>`,
    `<text transform="translate(16 ${height / 2}) rotate(-90)" text-anchor="middle">${escaped(y)}</text>`,
  ];
  for (const t of ticks(x0, x1)) {
    parts.push(`<path d="M${px(t)} ${margin}V${height - margin}" stroke="#ddd"/>`);
    parts.push(`<text x="${px(t)}" y="${height - margin + 14}" text-anchor="middle">${short(t)}</text>`);
  }
  for (const t of ticks(y0, y1)) {
    parts.push(`<path d="M${margin} ${py(t)}H${width - margin / 2}" stroke="#ddd"/>`);
    parts.push(`<text x="${margin - 4}" y="${py(t) + 4}" text-anchor="end">${short(t)}</text>`);
  }
  for (const [i, { label, points }] of lines.entries()) {
    const colour = colours[i % colours.length]!;
    const path = points.map(([a, b], at) => `${at ? "L" : "M"}${px(a)} ${py(b)}`).join("");
    parts.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`);
    parts.push(`<text x="${margin + 8}" y="${margin + 14 * (i + 1)}" fill="${colour}">${escaped(label)}</text>`);
    if (dots.length === 0)
      for (const [a, b] of points) parts.push(`<circle cx="${px(a)}" cy="${py(b)}" r="3" fill="${colour}"/>`);
  }
  for (const { x: a, y: b, title: t, size = 4 } of dots) {
    parts.push(
      `<circle cx="${px(a)}" cy="${py(b)}" r="${size.toFixed(1)}" fill="${colours[0]}" fill-opacity=".6"><title>${escaped(t)}</title></circle>`,
    );
  }
  return `${[...parts, "</svg>"].join("\n")}\n`;
}
