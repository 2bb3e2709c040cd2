import type { Entry } from "./galleryStore.js";
import { inspectModel } from "./loadModel.js";
import { mask } from "./mask.js";
import { readPngText } from "./pngText.js";
import { otherTuning, type Settings, settingsOf, takesPicture } from "./settings.js";
import { takePicture } from "./source.js";
import { drawing, form, model, shown, status, trouble } from "./state.js";
import { whyNot } from "./support.js";

/** Puts values into the fields; those that are absent stay as they are. A seed that was named is kept. */
export function writeSettings(settings: Partial<Settings>): void {
  const { seed, mode, ...rest } = settings;
  const fields: Readonly<Record<string, { value: unknown }>> = form;
  for (const [name, value] of Object.entries(rest)) {
    const field = fields[name];
    if (field && value !== undefined) field.value = value;
  }
  if (seed !== undefined) {
    form.seed.value = seed;
    form.seedLocked.value = true;
  }
  if (mode && !(model.value && whyNot(mode, model.value.facts))) form.mode.value = mode;
}

/** A picture of the gallery comes back with what made it. */
export async function restoreEntry(entry: Entry): Promise<void> {
  if (drawing.value) return;
  shown.value = entry;
  writeSettings(entry.settings);
  status.value = `Settings restored.${otherModel(entry.settings)}`;
  if (entry.source) await takePicture(entry.source);
  if (entry.mask) await mask.restore(entry.mask);
}

/** A picture of another model does not come out the same. */
function otherModel({ model: made }: Partial<Settings>): string {
  const { source, name } = model.value ?? {};
  return made && source && made !== source && made !== name ? ` It was made with ${made}.` : "";
}

const modelFile = /\.(safetensors|ckpt|pt|pth|bin)$/i;

/** A file that was dropped, pasted or picked: a picture with settings, a picture to begin with, or a model. */
export async function takeFile(file: File): Promise<void> {
  trouble.value = undefined;
  if (modelFile.test(file.name)) return inspectModel(file);
  try {
    const texts = readPngText(new Uint8Array(await file.arrayBuffer()));
    const settings = settingsOf(texts);
    if (settings.seed !== undefined && !drawing.value) {
      writeSettings(settings);
      if (settings.mode && takesPicture(settings.mode)) {
        status.value = "Settings restored. The picture it began with is not in the file: choose it again.";
      } else status.value = `Settings restored from the picture.${otherModel(settings)}${otherTuning(texts)}`;
      return;
    }
    await takePicture(file);
    if (!takesPicture(form.mode.value)) form.mode.value = "image";
    status.value = "Picture taken.";
  } catch (error) {
    trouble.value = { title: "This file cannot be used", text: error instanceof Error ? error.message : String(error) };
    status.value = trouble.value.title;
  }
}
