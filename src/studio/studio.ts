import * as webldm from "../index.js";
import { draw, getState, page, setState } from "./elements.js";
import { addToGallery, type Entry } from "./gallery.js";
import { PreviewBudget } from "./previewBudget.js";
import {
  offerSizes,
  readSettings,
  rollSeed,
  type Settings,
  settingsFromAddress,
  showRanges,
  writeSettings,
} from "./settings.js";

type Source = Parameters<webldm.Engine["load"]>[0];

/** The module itself, and what the page has opened, for the console. */
type Exposed = typeof webldm & { engine?: webldm.Engine; model?: webldm.LatentDiffusion };

declare global {
  interface Window {
    webldm: Exposed;
  }
}

const builtInModel = "./weights/sticker";
const builtInGuidance = 5; // what its pictures look best with
const stickerExamples = [
  "a fox",
  "red apple",
  "a blue mushroom",
  "red heart on a blue background",
  "hamburger, flat style",
  "an octopus, 3d style",
  "sunflower",
  "rocket",
];
const otherExamples = [
  "a lighthouse at dusk, oil painting",
  "a red bicycle leaning on a wall",
  "a bowl of lemons, still life",
];

const exposed: Exposed = { ...webldm };
window.webldm = exposed;
const asked = settingsFromAddress(location.search);
const previews = new PreviewBudget();
let running: AbortController | undefined;
let loading: AbortController | undefined;
let shown: Entry | undefined;
let previewSize = "";

void boot();

async function boot(): Promise<void> {
  page.settings.open = matchMedia("(min-width: 821px)").matches;
  page.frame.classList.add("blank");
  showRanges();
  writeSettings(asked);
  wire();
  if (!("gpu" in navigator)) {
    const reason = window.isSecureContext
      ? "This browser does not offer it."
      : "This browser offers it to secure addresses only (https://, or http://localhost), and this is not one.";
    unsupported(reason);
    return;
  }
  try {
    exposed.engine = await webldm.createEngine({ powerPreference: "high-performance" });
  } catch (error) {
    unsupported(`The browser has WebGPU but gave no graphics card: ${messageOf(error)}`);
    return;
  }
  const [name, dtype] = [document.createElement("span"), document.createElement("span")];
  name.textContent = exposed.engine.adapter;
  dtype.textContent = ` · ${exposed.engine.dtype}`;
  page.adapter.replaceChildren(name, dtype);
  page.adapter.title = `Pictures are computed by ${exposed.engine.adapter} in ${exposed.engine.dtype}`;
  const loaded = await load(asked.model ?? builtInModel, asked.model ?? "sticker, built in");
  if (loaded && asked.autostart) await generate();
}

function unsupported(reason: string): void {
  setState("unsupported", `WebGPU is not available. ${reason}`);
  page.adapter.textContent = "no WebGPU";
  page.unsupportedReason.textContent = reason;
  page.unsupported.hidden = false;
}

function wire(): void {
  page.form.addEventListener("submit", (event) => {
    event.preventDefault();
    void generate();
  });
  page.prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!page.generate.disabled) page.form.requestSubmit();
  });
  page.stop.addEventListener("click", () => {
    running?.abort();
    page.status.textContent = "Stopping…";
  });
  page.steps.addEventListener("input", showRanges);
  page.guidance.addEventListener("input", showRanges);
  page.dice.addEventListener("click", () => writeSettings({ seed: rollSeed() }));
  page.download.addEventListener("click", () => save());
  page.builtIn.addEventListener("click", () => void load(builtInModel, "sticker, built in"));
  page.folder.addEventListener("change", () => {
    const files = [...(page.folder.files ?? [])];
    page.folder.value = "";
    const [top = "folder"] = files[0]?.webkitRelativePath.split("/") ?? [];
    if (files.length > 0) void load(webldm.folderFromFiles(files), top);
  });
  const loadAddress = (): void => {
    const address = page.address.value.trim();
    if (address !== "") void load(address, address);
  };
  page.loadAddress.addEventListener("click", loadAddress);
  page.address.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would send the form
    loadAddress();
  });
}

/** Opens a model in place of the one before, whose memory is freed first. A later call overtakes an earlier one. */
async function load(source: Source, name: string): Promise<boolean> {
  const { engine } = exposed;
  if (!engine) return false;
  running?.abort();
  loading?.abort();
  const controller = new AbortController();
  loading = controller;
  page.generate.disabled = true;
  exposed.model?.dispose();
  delete exposed.model;
  page.modelName.textContent = "";
  setState("loading", `Loading ${name}…`);
  page.bar.removeAttribute("value");
  try {
    const model = await engine.load(source, {
      signal: controller.signal,
      tokenizer: "./weights/tokenizers", // single files hold no vocabulary
      onProgress: ({ loaded, total, file }) => {
        if (controller.signal.aborted) return;
        if (total > 0) page.bar.value = loaded / total;
        page.pace.textContent = `${megabytes(loaded)} of ${megabytes(total)} MB · ${file}`;
      },
    });
    if (controller.signal.aborted) {
      model.dispose();
      return false;
    }
    exposed.model = model;
    const builtIn = source === builtInModel;
    offerSizes(model);
    previews.reset();
    const { steps, guidance } = model.defaults;
    writeSettings({ steps, guidance: builtIn ? builtInGuidance : guidance });
    writeSettings(asked);
    page.modelName.textContent = `· ${name}`;
    page.builtIn.hidden = builtIn;
    offerExamples(builtIn ? stickerExamples : otherExamples);
    if (!builtIn) page.models.open = false;
    page.generate.disabled = false;
    setState("ready", "Ready. The first picture takes a little longer.");
    return true;
  } catch (error) {
    if (controller.signal.aborted) return false;
    page.builtIn.hidden = source === builtInModel;
    page.models.open = true;
    fail(error);
    return false;
  } finally {
    page.bar.value = 0;
  }
}

/** Chips that fill in a prompt. */
function offerExamples(prompts: readonly string[]): void {
  page.examples.replaceChildren(
    ...prompts.map((prompt) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = prompt;
      chip.addEventListener("click", () => {
        page.prompt.value = prompt;
        page.prompt.focus({ preventScroll: true });
      });
      return chip;
    }),
  );
}

async function generate(): Promise<void> {
  const { model } = exposed;
  if (!model || running) return;
  let settings: Settings;
  try {
    settings = readSettings();
  } catch (error) {
    fail(error);
    return;
  }
  const controller = new AbortController();
  running = controller;
  showRunning(true);
  setState("busy", "Preparing…");
  showWarnings([]);
  if (!shown) page.frame.classList.add("blank");
  page.canvas.setAttribute("aria-label", `Picture in the making: ${settings.prompt}`);
  page.frame.style.aspectRatio = `${settings.width} / ${settings.height}`;
  if (matchMedia("(max-width: 820px)").matches) page.frame.scrollIntoView({ behavior: "smooth", block: "center" });
  const size = `${settings.width}x${settings.height}`;
  if (size !== previewSize) previews.reset();
  previewSize = size;
  const started = performance.now();
  previews.start();
  let firstStep = 0;
  try {
    const picture = await model.textToImage({
      ...settings,
      signal: controller.signal,
      onStep: async ({ step, steps, preview }) => {
        if (controller.signal.aborted) return;
        const now = performance.now();
        firstStep ||= now;
        showStep(step, steps, step > 1 ? (now - firstStep) / (step - 1) : now - started);
        if (!previews.affords(step, steps, now)) return;
        const forming = await preview();
        previews.paid(performance.now() - now);
        if (controller.signal.aborted) return;
        draw(page.canvas, forming);
        page.frame.classList.remove("blank");
      },
    });
    const entry: Entry = { picture, settings };
    show(entry);
    addToGallery(entry, pick);
    showWarnings(picture.warnings);
    setState("done", `Done in ${seconds(performance.now() - started)}, seed ${picture.seed}.`);
  } catch (error) {
    if (shown) show(shown);
    else page.frame.classList.add("blank");
    if (controller.signal.aborted) setState("ready", "Stopped.");
    else fail(error);
  } finally {
    running = undefined;
    showRunning(false);
    page.bar.value = 0;
    document.title = "webldm";
  }
}

/** While a picture is made, Stop stands where Generate was, and keeps the keyboard's focus. */
function showRunning(on: boolean): void {
  const focused = document.activeElement === (on ? page.generate : page.stop);
  page.generate.hidden = on;
  page.stop.hidden = !on;
  if (focused) (on ? page.stop : page.generate).focus();
}

/** The line under the picture follows each step; the announced status only each quarter of the way. */
function showStep(step: number, steps: number, milliseconds: number): void {
  page.bar.max = 1;
  page.bar.value = step / steps;
  const left = steps - step;
  page.pace.textContent = `step ${step} of ${steps} · ${seconds(milliseconds)} a step${left > 0 ? ` · ${seconds(left * milliseconds)} left` : ""}`;
  document.title = `${step}/${steps} · webldm`;
  const quarter = Math.floor((step * 4) / steps);
  const message = step === steps ? "Decoding…" : quarter === 0 ? "Drawing…" : `Drawing… ${quarter * 25}%`;
  if (page.status.textContent !== message) page.status.textContent = message;
}

/** Puts a finished picture on the stage. */
function show(entry: Entry): void {
  const { picture, settings } = entry;
  shown = entry;
  draw(page.canvas, picture);
  page.canvas.setAttribute("aria-label", settings.prompt || "Picture without a prompt");
  page.frame.style.aspectRatio = `${picture.width} / ${picture.height}`;
  page.frame.classList.remove("blank");
  page.download.disabled = false;
}

/** A picture of the gallery comes back with what made it. */
function pick(entry: Entry): void {
  if (running) return;
  show(entry);
  writeSettings({ ...entry.settings, seed: entry.picture.seed });
  showWarnings(entry.picture.warnings);
  if (getState() === "done") page.status.textContent = `Seed ${entry.picture.seed}, ${entry.picture.steps} steps.`;
}

function save(): void {
  if (!shown) return;
  const { picture, settings } = shown;
  const words = settings.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const name = `${words.join("-").slice(0, 60) || "picture"}-${picture.seed}.png`;
  const canvas = document.createElement("canvas"); // not the one on show, where the next picture may be forming
  draw(canvas, picture);
  canvas.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

function showWarnings(warnings: readonly string[]): void {
  page.warnings.hidden = warnings.length === 0;
  page.warnings.replaceChildren(
    ...warnings.map((warning) => {
      const item = document.createElement("li");
      item.textContent = warning;
      return item;
    }),
  );
}

function fail(error: unknown): void {
  console.error(error);
  setState("error", messageOf(error));
}

/** One line, for a person. */
const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

const seconds = (milliseconds: number): string =>
  milliseconds < 950
    ? `${Math.max(1, Math.round(milliseconds))} ms`
    : `${(milliseconds / 1000).toFixed(milliseconds < 9950 ? 1 : 0)} s`;
