import { startEngine } from "./engine.js";
import { readEntries } from "./galleryStore.js";
import { generate, readSettings, stop } from "./generate.js";
import { inspectModel, lastModel, loadModel } from "./loadModel.js";
import { embedded } from "./protocol.js";
import { takeFile, writeSettings } from "./restore.js";
import { askedBy } from "./settings.js";
import { adapter, gallery, loading, model, modelsOpen, trouble } from "./state.js";

/** Starts the engine, the model and what the address asks for. */
export async function boot(): Promise<void> {
  wire();
  readEntries().then(
    (entries) => {
      gallery.value = [...gallery.value, ...entries];
    },
    () => undefined, // a browser that keeps nothing has an empty gallery
  );
  if (await startEngine()) await follow();
}

/** Does what the address asks for: settings, a model, a picture at once. Done once: a reload does not draw it again. */
async function follow(): Promise<void> {
  const { autostart, ...settings } = askedBy(location);
  history.replaceState(null, "", location.pathname);
  writeSettings(settings);
  const { model: named } = settings;
  // A link from elsewhere does not fetch gigabytes without a yes.
  const here = named !== undefined && /^[./]/.test(named) && originOf(named) === location.origin;
  const wanted = here ? named : (model.value?.source ?? lastModel());
  const there = model.value?.source === wanted || (await loadModel(wanted));
  // Not where a person chose another meanwhile, or none.
  const failed = !there && !model.value && !loading.value && trouble.value !== undefined;
  const loaded = there || (failed && !here && wanted !== embedded && (await loadModel(embedded)));
  if (!loaded) return;
  writeSettings(settings); // the model brought its own
  if (named && !here) await inspectModel(named, undefined, settings);
  else if (autostart) await generate();
}

/** Where an address leads; undefined where it is none. */
function originOf(address: string): string | undefined {
  try {
    return new URL(address, document.baseURI).origin;
  } catch {
    return undefined;
  }
}

/** The engine anew, with the same model: after the device was lost. */
export async function restart(): Promise<void> {
  const before = model.value ?? lastLoaded;
  const { seed: _, ...settings } = readSettings(); // a seed that is written is locked
  trouble.value = undefined;
  if (!(await startEngine())) return;
  if (await loadModel(before?.source ?? embedded, before?.name)) writeSettings(settings);
}

let lastLoaded = model.value;
model.subscribe((loaded) => {
  lastLoaded = loaded ?? lastLoaded;
});

/** What the page listens for as a whole. */
function wire(): void {
  addEventListener("hashchange", () => {
    if (adapter.value && location.hash) void follow();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing && !modelsOpen.value) stop();
  });
  addEventListener("paste", ({ clipboardData }) => {
    const file = [...(clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (file) void takeFile(file);
  });
  addEventListener("dragover", (event) => {
    if (!isTextForField(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (isTextForField(event)) return;
    event.preventDefault();
    void takeDropped(event.dataTransfer);
  });
}

/** Words that are dragged into a field are the field's. */
const isTextForField = ({ target, dataTransfer }: DragEvent): boolean =>
  target instanceof Element && target.matches("input, textarea") && !dataTransfer?.types.includes("Files");

/** A file, or where the browser can do that a folder. */
async function takeDropped(transfer: DataTransfer | null): Promise<void> {
  const item = transfer?.items[0];
  const file = transfer?.files[0];
  const handle = await (
    item as { getAsFileSystemHandle?(): Promise<FileSystemHandle | null> }
  )?.getAsFileSystemHandle?.();
  if (handle?.kind === "directory") await inspectModel(handle as FileSystemDirectoryHandle);
  else if (file) await takeFile(file);
}
