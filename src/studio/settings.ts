import type { LatentDiffusion } from "../index.js";
import { page } from "./elements.js";

/** What the fields say; the seed is always known, so that a picture can be made again. */
export interface Settings {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps: number;
  readonly guidance: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
}

const seeds = 2 ** 32;

/** Six digits are enough to be surprised and short enough to read out. */
export const rollSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000;

/** Reads the fields. Throws an error with a message for the person where one makes no sense. */
export function readSettings(): Settings {
  const seedText = page.seed.value.trim();
  if (!/^\d*$/.test(seedText) || Number(seedText) >= seeds) {
    throw new Error(`Seed: expected a whole number below ${seeds}, got ${seedText}`);
  }
  const [width = 0, height = 0] = page.size.value.split("x").map(Number);
  return {
    prompt: page.prompt.value.trim(),
    negativePrompt: page.negative.value.trim(),
    steps: page.steps.valueAsNumber,
    guidance: page.guidance.valueAsNumber,
    seed: seedText === "" ? rollSeed() : Number(seedText),
    width,
    height,
  };
}

/** Puts values into the fields; those that are absent stay as they are. */
export function writeSettings(settings: Partial<Settings>): void {
  if (settings.prompt !== undefined) page.prompt.value = settings.prompt;
  if (settings.negativePrompt !== undefined) page.negative.value = settings.negativePrompt;
  if (settings.steps !== undefined) setRange(page.steps, settings.steps);
  if (settings.guidance !== undefined) setRange(page.guidance, settings.guidance);
  if (settings.seed !== undefined) page.seed.value = String(settings.seed);
  if (settings.width && settings.height) {
    const value = `${settings.width}x${settings.height}`;
    if (![...page.size.options].some((option) => option.value === value)) {
      page.size.add(new Option(`${settings.width} × ${settings.height}`, value)); // the engine says if it does not fit
      page.sizeField.hidden = false;
    }
    page.size.value = value;
  }
  showRanges();
}

/** A range keeps what lies outside of it at its end: an address may ask for more than the slider offers. */
function setRange(range: HTMLInputElement, value: number): void {
  if (!Number.isFinite(value)) return;
  if (value > Number(range.max)) range.max = String(value);
  if (value < Number(range.min)) range.min = String(Math.max(0, value));
  if (!Number.isInteger((value - Number(range.min)) / Number(range.step))) range.step = "any";
  range.value = String(value);
}

/** The numbers beside the sliders. */
export function showRanges(): void {
  page.stepsValue.textContent = page.steps.value;
  page.guidanceValue.textContent = String(Math.round(page.guidance.valueAsNumber * 100) / 100);
}

/** What the address asks for: `?prompt=a+fox&steps=10&seed=7&guidance=5&autostart=1`. */
export function settingsFromAddress(
  search: string,
): Partial<Settings> & { autostart: boolean; model: string | undefined } {
  const query = new URLSearchParams(search);
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    return text === null || text.trim() === "" || !Number.isFinite(Number(text)) ? undefined : Number(text);
  };
  const whole = (name: string): number | undefined => {
    const value = number(name);
    return value === undefined ? undefined : Math.max(0, Math.round(value));
  };
  const steps = whole("steps");
  return {
    ...defined({
      prompt: query.get("prompt") ?? undefined,
      negativePrompt: query.get("negative") ?? undefined,
      steps: steps === undefined ? undefined : Math.max(1, steps),
      guidance: number("guidance"),
      seed: whole("seed"),
      width: whole("width"),
      height: whole("height"),
    }),
    autostart: ["1", "true", "yes"].includes(query.get("autostart") ?? ""),
    model: query.get("model") ?? undefined,
  };
}

/** Without the entries that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Offers the model's own size and some around it. */
export function offerSizes(model: Pick<LatentDiffusion, "defaults" | "sizeMultiple">): void {
  const { width, height } = model.defaults;
  const snap = (size: number): number => Math.max(1, Math.round(size / model.sizeMultiple)) * model.sizeMultiple;
  const shapes = [
    ["square", width, height],
    ["portrait", snap(width * 0.75), height],
    ["tall", width, snap(height * 1.5)],
    ["landscape", width, snap(height * 0.75)],
    ["wide", snap(width * 1.5), height],
    ["small", snap(width * 0.75), snap(height * 0.75)],
    ["large", snap(width * 1.5), snap(height * 1.5)],
  ] as const;
  const options = new Map(
    shapes.map(([name, w, h]) => [`${w}x${h}`, `${w} × ${h} ${w === width && h === height ? "" : name}`]),
  );
  page.size.replaceChildren(...[...options].map(([value, label]) => new Option(label.trim(), value)));
  page.size.value = `${width}x${height}`;
  page.sizeField.hidden = options.size < 2;
}
