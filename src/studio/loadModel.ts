import { studio } from "./engine.js";
import { examplesOf } from "./examples.js";
import { stop } from "./generate.js";
import { embedded, type Source } from "./protocol.js";
import { recall, remember } from "./remembered.js";
import type { Settings } from "./settings.js";
import {
  cachedFiles,
  candidate,
  form,
  type Loaded,
  loading,
  model,
  modelsOpen,
  status,
  technical,
  trouble,
} from "./state.js";
import { modeFor } from "./support.js";
import { troubleOf } from "./trouble.js";

const remembered = "webldm.model";
const embeddedVersion = "webldm.embedded";

let current: AbortController | undefined;

/** What a person calls the model of a source. */
export function nameOf(source: Source): string {
  if (source === embedded) return "sticker";
  if (typeof source !== "string") return source instanceof Map ? "folder" : (source as File).name;
  return (
    source
      .replace(/[?#].*$/, "")
      .replace(/\/+$/, "")
      .split("/")
      .slice(-1)[0] ?? source
  );
}

/** Puts a model on the graphics card in place of the one before. A later call overtakes an earlier one. */
export async function loadModel(source: Source, name = nameOf(source)): Promise<boolean> {
  stop(); // what is being drawn is drawn by the model that goes
  current?.abort();
  const own = new AbortController();
  current = own;
  model.value = undefined;
  trouble.value = undefined;
  candidate.value = undefined;
  loading.value = { name };
  status.value = `Loading ${name}…`;
  try {
    if (source === embedded) await refreshEmbedded();
    const facts = await studio().load(
      source,
      (progress) => {
        if (current === own) loading.value = { name, progress };
      },
      own.signal,
    );
    if (current !== own) return false;
    settle({ source, name, facts });
    return true;
  } catch (error) {
    if (current !== own || own.signal.aborted) return false;
    trouble.value = troubleOf(error, "loading");
    status.value = trouble.value.title;
    if (recall(remembered) === source) remember(remembered, undefined);
    return false;
  } finally {
    if (current === own) loading.value = undefined;
    void listCached();
  }
}

/** Stops loading; there is no model then. */
export function stopLoading(): void {
  current?.abort();
  current = undefined;
  loading.value = undefined;
  status.value = "Stopped. Choose a model.";
}

function settle(loaded: Loaded): void {
  const { source, facts } = loaded;
  model.value = loaded;
  technical.memory.value = facts.memory;
  const { steps, guidance, width, height } = facts.defaults;
  form.steps.value = steps;
  form.guidance.value = guidance;
  form.width.value = width;
  form.height.value = height;
  form.sampler.value = "";
  form.margins.value = { left: 0, right: 0, top: 0, bottom: 0 };
  form.mode.value = modeFor(form.mode.value, facts);
  modelsOpen.value = false;
  status.value = `Ready. ${examplesOf(loaded).length > 0 ? "Describe a picture, or try an example." : ""}`;
  if (typeof source === "string") remember(remembered, source);
}

/** The files of the embedded model change with the page: what an earlier version left is fetched anew. */
async function refreshEmbedded(): Promise<void> {
  if (recall(embeddedVersion) === EMBEDDED_VERSION) return;
  await studio().forget(new URL(embedded, document.baseURI).href);
  remember(embeddedVersion, EMBEDDED_VERSION);
}

/** The model that was used last, if it can be had again without asking. */
export const lastModel = (): string => recall(remembered) ?? embedded;

/** Looks at a model without loading it, and asks whether to; `settings` are for when it is loaded. */
export async function inspectModel(
  source: Source,
  name = nameOf(source),
  settings: Partial<Settings> = {},
): Promise<void> {
  modelsOpen.value = true;
  candidate.value = { source, name, settings };
  try {
    const inspection = await studio().inspect(source);
    if (candidate.value?.source === source) candidate.value = { source, name, settings, inspection };
  } catch (error) {
    if (candidate.value?.source === source)
      candidate.value = { source, name, settings, trouble: troubleOf(error, "loading") };
  }
}

/** The list of kept files. */
export async function listCached(): Promise<void> {
  // Where the browser keeps nothing, there is nothing to list.
  cachedFiles.value = await studio()
    .cached()
    .catch(() => []);
}

/** Deletes what is kept of a model. */
export async function forget(address: string): Promise<void> {
  await studio().forget(address);
  await listCached();
}
