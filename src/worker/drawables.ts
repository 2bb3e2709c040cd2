import { isPlain } from "./pack.js";

/** Arguments with bitmaps for the elements and canvases of the page, which cannot leave it; undefined where there are none. */
export function drawnToBitmaps(args: readonly unknown[]): Promise<unknown[]> | undefined {
  const fields = (value: unknown) => (isPlainObject(value) ? Object.values(value) : []);
  if (![...args, ...args.flatMap(fields)].some(isDrawn)) return undefined;
  return Promise.all(args.map(async (arg) => (isPlainObject(arg) ? withBitmaps(arg) : bitmapOf(arg))));
}

async function withBitmaps(request: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const entries = Object.entries(request).map(async ([name, value]) => [name, await bitmapOf(value)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const bitmapOf = (value: unknown): unknown => (isDrawn(value) ? createImageBitmap(value) : value);

const kinds = ["HTMLCanvasElement", "OffscreenCanvas", "HTMLImageElement"] as const;

const isDrawn = (value: unknown): value is HTMLCanvasElement | OffscreenCanvas | HTMLImageElement =>
  kinds.some((kind) => kind in globalThis && value instanceof globalThis[kind]);

const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && isPlain(value);
