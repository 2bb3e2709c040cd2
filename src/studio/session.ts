import { startEngine } from "./engine.js";
import { readEntries } from "./galleryStore.js";
import { generate, stop } from "./generate.js";
import { inspectModel, lastModel, loadModel } from "./loadModel.js";
import { embedded } from "./protocol.js";
import { takeFile, writeSettings } from "./restore.js";
import { askedBy } from "./settings.js";
import { gallery, model, modelsOpen, trouble } from "./state.js";

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

/** Does what the address asks for: settings, a model, a picture at once. */
async function follow(): Promise<void> {
  const asked = askedBy(location);
  const { autostart, ...settings } = asked;
  writeSettings(settings);
  const named = settings.model;
  const trusted = !named || named === embedded || new URL(named, document.baseURI).origin === location.origin;
  const hub = named && !/^[./]/.test(named) && !named.includes("://");
  const wanted = trusted && !hub ? named : undefined;
  const loaded =
    (await loadModel(wanted ?? lastModel())) || (!wanted && lastModel() !== embedded && (await loadModel(embedded)));
  if (!loaded) return;
  writeSettings(settings); // the model brought its own
  // A link from elsewhere does not fetch gigabytes without a yes.
  if (named && !wanted) return inspectModel(named);
  if (autostart) await generate();
}

/** The engine anew, with the same model: after the device was lost. */
export async function restart(): Promise<void> {
  const before = model.value ?? lastLoaded;
  trouble.value = undefined;
  if (await startEngine()) await loadModel(before?.source ?? embedded, before?.name);
}

let lastLoaded = model.value;
model.subscribe((loaded) => {
  lastLoaded = loaded ?? lastLoaded;
});

/** What the page listens for as a whole. */
function wire(): void {
  addEventListener("hashchange", () => void follow());
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !modelsOpen.value) stop();
  });
  addEventListener("paste", ({ clipboardData }) => {
    const file = [...(clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (file) void takeFile(file);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    void takeDropped(event.dataTransfer);
  });
}

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
