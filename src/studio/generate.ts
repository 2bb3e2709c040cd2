import { studio } from "./engine.js";
import { examplesOf } from "./examples.js";
import { duration } from "./format.js";
import { type Entry, keepEntry, newId } from "./galleryStore.js";
import { mask } from "./mask.js";
import { profileStep } from "./profileStep.js";
import type { Drawn, Request, StepNews } from "./protocol.js";
import { type Settings, takesPicture, textsOf } from "./settings.js";
import { givenPixels, resultSize } from "./source.js";
import {
  drawing,
  form,
  forming,
  gallery,
  given,
  loading,
  model,
  rollSeed,
  shown,
  status,
  technical,
  trouble,
} from "./state.js";
import { takesPrompt, whyNot } from "./support.js";
import { troubleOf } from "./trouble.js";

/** One press of the button: stopped, it no longer moves what the page shows. */
interface Run {
  stopped: boolean;
}

let run: Run | undefined;

/** Why the button cannot be pressed yet, in a sentence; undefined where it can. */
export function missing(): string | undefined {
  if (!model.value) return loading.value ? "Getting the model ready…" : "No model is loaded";
  const mode = form.mode.value;
  const no = whyNot(mode, model.value.facts);
  if (no) return "Not with this model";
  if (takesPicture(mode) && !given.value) return "Choose a picture to begin with";
  if (mode === "inpaint" && mask.empty.value) return "Paint over what is to change";
  const { left, right, top, bottom } = form.margins.value;
  if (mode === "outpaint" && left + right + top + bottom === 0) return "Choose a side to continue at";
  if (mode === "layout" && form.objects.value.length === 0) return "Draw a box for each thing";
  return undefined;
}

/** Draws what the fields say, as many pictures as they say. */
export async function generate(): Promise<void> {
  const loaded = model.value;
  if (!loaded || drawing.value || missing()) return;
  if (form.mode.value === "text" && takesPrompt(loaded.facts) && form.prompt.value.trim() === "") {
    const examples = examplesOf(loaded);
    form.prompt.value = examples[Math.floor(Math.random() * examples.length)] ?? "";
  }
  const own: Run = { stopped: false };
  run = own;
  trouble.value = undefined;
  if (!form.seedLocked.value) form.seed.value = rollSeed();
  const count = form.count.value;
  const base = { ...readSettings(), model: typeof loaded.source === "string" ? loaded.source : loaded.name };
  const { image, ...pictures } = picturesOf(base);
  // Waited for at the end: a wait here would let another press begin another picture.
  const sources = sourcesOf(base).catch(() => ({})); // a picture is kept without them rather than not at all
  for (let index = 0; index < count && !own.stopped; index++) {
    const settings = { ...base, seed: base.seed + index };
    drawing.value = { step: 0, steps: settings.steps, index, count };
    status.value = "Preparing…";
    const request = { ...requestOf(settings), ...(image ? { image } : {}), ...pictures };
    try {
      const drawn = await studio().draw(request, follow(own, index, count));
      if (drawn) keep(drawn, settings, await sources, own);
      else if (run === own) status.value = "Stopped before there was anything to see.";
    } catch (error) {
      if (!own.stopped) {
        trouble.value = troubleOf(error, "drawing");
        status.value = trouble.value.title;
      }
      break;
    }
  }
  if (run !== own) return; // the next one has the stage
  drawing.value = undefined;
  forming.value = undefined;
  if (technical.open.value && !own.stopped && !trouble.value) await profileStep();
}

/** Ends the picture under way: the page is free at once, and what there is follows. */
export function stop(): void {
  if (!run || run.stopped || !drawing.value) return;
  run.stopped = true;
  drawing.value = undefined;
  status.value = "Stopped. Keeping what there is…";
  void studio().stop();
}

/** What the fields say. */
export function readSettings(): Settings {
  const { width, height } = form;
  return {
    mode: form.mode.value,
    prompt: form.prompt.value.trim(),
    negativePrompt: form.negativePrompt.value.trim(),
    steps: form.steps.value,
    guidance: form.guidance.value,
    sampler: form.sampler.value,
    seed: form.seed.value,
    width: width.value,
    height: height.value,
    strength: form.strength.value,
    label: form.label.value,
    noiseLevel: form.noiseLevel.value,
    margins: form.margins.value,
    objects: form.objects.value,
    model: "",
  };
}

function requestOf(settings: Settings): Request {
  const { sampler, ...rest } = settings;
  const text = { Software: "webldm", ...textsOf(settings) };
  return { ...rest, ...resultSize(), ...(sampler ? { sampler } : {}), text };
}

function picturesOf({ mode }: Settings): Pick<Request, "image" | "mask"> {
  const image = takesPicture(mode) ? givenPixels() : undefined;
  return { ...(image ? { image } : {}), ...(mode === "inpaint" ? { mask: mask.pixels() } : {}) };
}

async function sourcesOf({ mode }: Settings): Promise<Pick<Entry, "source" | "mask">> {
  if (!takesPicture(mode) || !given.value) return {};
  const painted = mode === "inpaint" ? await mask.toBlob() : undefined;
  return { source: given.value.blob, ...(painted ? { mask: painted } : {}) };
}

/** Shows each step as it comes. */
function follow(own: Run, index: number, count: number): (news: StepNews) => void {
  let first = 0;
  return ({ step, steps, bitmap }) => {
    if (own.stopped) return bitmap?.close();
    const now = performance.now();
    first ||= now;
    // The device is a step ahead of what is told of the first two.
    const pace = step > 2 ? { milliseconds: (now - first) / (step - 1) } : {};
    drawing.value = { step, steps, index, count, ...pace };
    if (pace.milliseconds !== undefined) technical.stepMilliseconds.value = pace.milliseconds;
    if (bitmap) forming.value = bitmap;
    // Read out at each quarter of the way, not at each step.
    const quarter = Math.floor((step * 4) / steps);
    const which = count > 1 ? `Picture ${index + 1} of ${count}: ` : "";
    const text = step === steps ? "finishing…" : quarter === 0 ? "drawing…" : `drawing, ${quarter * 25}% done…`;
    const line = which ? which + text : text.charAt(0).toUpperCase() + text.slice(1);
    if (status.value !== line) status.value = line;
  };
}

function keep(drawn: Drawn, settings: Settings, kept: Pick<Entry, "source" | "mask">, own: Run): void {
  const { png, width, height, milliseconds, warnings, stoppedAt, memory } = drawn;
  const part = stoppedAt === undefined ? {} : { stoppedAt };
  const entry = {
    id: newId(),
    when: Date.now(),
    settings,
    png,
    width,
    height,
    milliseconds,
    warnings,
    ...part,
    ...kept,
  };
  technical.memory.value = memory;
  gallery.value = [entry, ...gallery.value];
  if (run === own) {
    shown.value = entry;
    forming.value = undefined;
    status.value =
      stoppedAt === undefined
        ? `Done in ${duration(milliseconds)}.`
        : `Stopped after step ${stoppedAt} of ${settings.steps}; this is what there was.`;
  }
  keepEntry(entry).catch(() => {
    status.value += " The browser has no room to keep it: save it before you leave.";
  });
}
