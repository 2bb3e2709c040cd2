import type { LayoutObject, SamplerName } from "../index.js";
import { type Margins, type Mode, modes } from "./protocol.js";

/** What it takes to make a picture again, beside the pictures that some modes begin with. */
export interface Settings {
  readonly mode: Mode;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps: number;
  readonly guidance: number;
  /** Empty: the model's own. */
  readonly sampler: SamplerName | "";
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  /** Of image to image and inpainting. */
  readonly strength: number;
  /** Of models of classes. */
  readonly label: number;
  /** Of upscalers with a prompt. */
  readonly noiseLevel: number;
  readonly margins: Margins;
  readonly objects: readonly LayoutObject[];
  /** Where the model came from: an address, a hub name, or the name of a file. */
  readonly model: string;
}

export const samplers = {
  "": "the model's own",
  ddim: "DDIM",
  ddpm: "DDPM",
  pndm: "PNDM",
  plms: "PLMS",
  "dpm++": "DPM++",
} as const satisfies Readonly<Record<SamplerName | "", string>>;

/** Modes that begin with a picture. */
export const takesPicture = (mode: Mode): boolean => mode !== "text" && mode !== "layout";

/** Settings as texts, for a link and for a PNG; what plays no part in a mode is left out. */
export function textsOf(settings: Settings): Record<string, string> {
  const { mode, prompt, negativePrompt, steps, guidance, sampler, seed, width, height, model } = settings;
  const texts: Record<string, string> = { mode, prompt, negativePrompt };
  Object.assign(texts, mapped({ steps, guidance, sampler, seed, width, height, model }));
  if (mode === "image" || mode === "inpaint") texts["strength"] = String(settings.strength);
  if (mode === "layout") texts["objects"] = JSON.stringify(settings.objects);
  if (mode === "outpaint") texts["margins"] = JSON.stringify(settings.margins);
  if (mode === "upscale") texts["noiseLevel"] = String(settings.noiseLevel);
  if (settings.label) texts["label"] = String(settings.label);
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ""));
}

const mapped = (values: Readonly<Record<string, string | number>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));

/** Settings of texts from anywhere: what is missing or makes no sense is left out. */
export function settingsOf(texts: Readonly<Record<string, string>>): Partial<Settings> {
  const number = (name: string, low: number, high: number) => {
    const text = texts[name]?.trim();
    const value = Number(text);
    return text && Number.isFinite(value) ? Math.min(Math.max(value, low), high) : undefined;
  };
  const whole = (name: string, low: number, high: number) => {
    const value = number(name, low, high);
    return value === undefined ? undefined : Math.round(value);
  };
  const found = {
    mode: modes.find((mode) => mode === texts["mode"]),
    prompt: texts["prompt"],
    // Links of earlier versions said `negative`.
    negativePrompt: texts["negativePrompt"] ?? texts["negative"] ?? (texts["prompt"] === undefined ? undefined : ""),
    steps: whole("steps", 1, 1000),
    guidance: number("guidance", 0, 100),
    sampler: (Object.keys(samplers) as (keyof typeof samplers)[]).find((name) => name === texts["sampler"]),
    seed: whole("seed", 0, Number.MAX_SAFE_INTEGER),
    width: whole("width", 8, 4096),
    height: whole("height", 8, 4096),
    strength: number("strength", 0.05, 1),
    label: whole("label", 0, 1e6),
    noiseLevel: whole("noiseLevel", 0, 350),
    margins: marginsOf(json(texts["margins"])),
    objects: objectsOf(json(texts["objects"])),
    model: texts["model"],
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Partial<Settings>;
}

/** What to say of a picture that was drawn with a tuning table: this page draws without, and so rounds otherwise. */
export const otherTuning = ({ tuning }: Readonly<Record<string, string>>): string =>
  tuning ? ` It was drawn with tuning ${tuning}, this page draws without: fine details may differ.` : "";

function json(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function marginsOf(value: unknown): Margins | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const side = (name: keyof Margins) => {
    const pixels = Number((value as Record<string, unknown>)[name]);
    return Number.isInteger(pixels) && pixels > 0 ? Math.min(pixels, 2048) : 0;
  };
  return { left: side("left"), right: side("right"), top: side("top"), bottom: side("bottom") };
}

function objectsOf(value: unknown): LayoutObject[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((one: Partial<LayoutObject> | null) => {
    const box = Array.isArray(one?.box) ? one.box.map(Number) : [];
    const fits = box.length === 4 && box.every((side) => side >= 0 && side <= 1);
    const category = Number(one?.category);
    if (!fits || !Number.isInteger(category)) return [];
    return [{ category, box: [box[0]!, box[1]!, box[2]!, box[3]!] as const }];
  });
}

/** A link to this page that draws a picture. Its part after # stays in the browser: no server is told of it. */
export function linkOf(settings: Settings, page: string): string {
  const address = new URL(page);
  address.search = "";
  const { model, ...texts } = textsOf(settings);
  const found: Record<string, string> = model?.includes("/") ? { model } : {}; // a file of this computer is nowhere else
  address.hash = new URLSearchParams({ ...texts, ...found, autostart: "1" }).toString();
  return address.href;
}

/** What an address asks for, after ? or #, and whether to draw at once. */
export function askedBy({ search, hash }: Pick<URL, "search" | "hash">): Partial<Settings> & { autostart: boolean } {
  const texts = Object.fromEntries([...new URLSearchParams(search), ...new URLSearchParams(hash.slice(1))]);
  return { ...settingsOf(texts), autostart: ["1", "true", "yes"].includes(texts["autostart"] ?? "") };
}
