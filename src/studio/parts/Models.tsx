import { useComputed, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { bytes } from "../format.js";
import { forget, inspectModel, loadModel, nameOf, stopLoading } from "../loadModel.js";
import { type CachedFile, embedded, type Inspection } from "../protocol.js";
import { writeSettings } from "../restore.js";
import { adapter, cachedFiles, candidate, loading, model, modelsOpen } from "../state.js";
import { Icon } from "./Icon.js";
import { TroubleCard } from "./Notices.js";

/** Which model draws: the one that comes with the page, one of one's own, or one that is kept. */
export function Models(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = modelsOpen.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      id="models"
      aria-labelledby="modelsTitle"
      onClose={() => {
        modelsOpen.value = false;
        candidate.value = undefined;
      }}
    >
      <div class="heading">
        <h2 id="modelsTitle">Model</h2>
        <button type="button" class="square" aria-label="Close" onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
      </div>
      <Present />
      {candidate.value ? <Candidate /> : <Own />}
      <Kept />
      {open && <TroubleCard />}
    </dialog>
  );
}

function Present(): JSX.Element {
  const loaded = model.value;
  const memory = loaded?.facts.memory;
  return (
    <div class="present">
      <p>
        {loaded ? (
          <>
            <b>{loaded.name}</b> · {loaded.facts.family} · {memory && bytes(memory.weights)} on the graphics card
          </>
        ) : (
          (loading.value && `Loading ${loading.value.name}…`) || "No model is loaded."
        )}
      </p>
      {loading.value && (
        <button type="button" onClick={stopLoading}>
          Stop loading
        </button>
      )}
      {loaded?.source !== embedded && !loading.value && (
        <button id="builtIn" type="button" onClick={() => void loadModel(embedded)}>
          Use the embedded model
        </button>
      )}
    </div>
  );
}

function Own(): JSX.Element {
  const address = useSignal("");
  const look = () => {
    const text = address.value.trim();
    if (text) void inspectModel(text);
  };
  return (
    <section class="own" aria-label="Bring your own">
      <h3>Bring your own</h3>
      <p class="hint">
        Stable Diffusion 1 or 2, or a latent diffusion model: a diffusers folder, or a .safetensors or .ckpt file. Files
        from this computer stay on it.
      </p>
      <div class="tools">
        <label class="button" for="folder">
          Choose a folder…
        </label>
        <input
          id="folder"
          class="visually-hidden"
          type="file"
          multiple
          {...{ webkitdirectory: true }}
          onChange={({ currentTarget }) => {
            const files = [...(currentTarget.files ?? [])];
            currentTarget.value = "";
            const [top = "folder"] = files[0]?.webkitRelativePath.split("/") ?? [];
            const paths = files.map((file) => [file.webkitRelativePath.split("/").slice(1).join("/"), file] as const);
            if (files.length > 0) void inspectModel(new Map(paths), top);
          }}
        />
        <label class="button" for="file">
          Choose a file…
        </label>
        <input
          id="file"
          class="visually-hidden"
          type="file"
          accept=".safetensors,.ckpt,.pt,.pth,.bin"
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            currentTarget.value = "";
            if (file) void inspectModel(file);
          }}
        />
      </div>
      <div class="field">
        <label for="address">Address or hub name</label>
        <div class="joined">
          <input
            id="address"
            type="text"
            inputMode="url"
            placeholder="owner/name, or https://…"
            value={address.value}
            onInput={({ currentTarget }) => {
              address.value = currentTarget.value;
            }}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              look();
            }}
          />
          <button id="look" type="button" onClick={look}>
            Look
          </button>
        </div>
      </div>
    </section>
  );
}

function Candidate(): JSX.Element {
  const { name, source, settings, inspection, trouble } = candidate.value!;
  return (
    <section class="candidate" aria-live="polite">
      <h3>{name}</h3>
      {!inspection && !trouble && <p class="hint">Reading what it is…</p>}
      {trouble && (
        <div class="trouble">
          <p>
            <b>{trouble.title}.</b> {trouble.text}
          </p>
          {trouble.detail && trouble.detail !== trouble.text && <p class="hint">{trouble.detail}</p>}
        </div>
      )}
      {inspection && <Needs inspection={inspection} />}
      <div class="tools">
        {inspection && (
          <button
            id="loadIt"
            type="button"
            class="primary"
            onClick={async () => {
              if (await loadModel(source, name)) writeSettings(settings ?? {});
            }}
          >
            {inspection.problem ? "Load it anyway" : "Load it"}
          </button>
        )}
        <button
          type="button"
          onClick={() => {
            candidate.value = undefined;
          }}
        >
          Another one
        </button>
      </div>
    </section>
  );
}

/** Memory that there is, as far as browsers tell: of the whole device, in steps. */
const deviceMemory = (): number | undefined => {
  const { deviceMemory: gigabytes } = navigator as { readonly deviceMemory?: number };
  return gigabytes === undefined ? undefined : gigabytes * 2 ** 30;
};

function Needs({ inspection }: { readonly inspection: Inspection }): JSX.Element {
  const { family, download, weights, intermediates, largestBuffer, width, height, problem } = inspection;
  const there = deviceMemory();
  const needed = weights + intermediates;
  const share = there && Math.min(1, needed / there);
  const most = adapter.value?.largestBuffer ?? 0;
  return (
    <>
      <p id="family">{family}</p>
      <dl>
        <dt>To read</dt>
        <dd>{download > 0 ? bytes(download) : "nothing: it is kept here"}</dd>
        <dt>Memory needed</dt>
        <dd id="needed">
          {bytes(needed)} for {width} × {height}: {bytes(weights)} of weights, {bytes(intermediates)} to work with
        </dd>
        <dt>Memory there</dt>
        <dd>
          {there ? `${bytes(there)} or more in this device, as the browser tells` : "the browser does not tell"}
          {share !== undefined && (
            <meter
              aria-label="Share of this device's memory"
              min={0}
              max={1}
              low={0.5}
              high={0.75}
              optimum={0}
              value={share}
            />
          )}
        </dd>
        <dt>Largest piece</dt>
        <dd>
          {bytes(largestBuffer)}; the graphics card takes {bytes(most)}
        </dd>
      </dl>
      {problem && (
        <p class="trouble">
          <b>This graphics card cannot do it:</b> {problem}
        </p>
      )}
    </>
  );
}

interface KeptModel {
  readonly address: string;
  readonly name: string;
  readonly bytes: number;
}

const part =
  /\/(unet|vae|text_encoder|tokenizer|scheduler|safety_checker|feature_extractor|rescaler|clip|bert)\/[^/]*$/;

/** Files of one folder together. */
function modelsOf(files: readonly CachedFile[]): readonly KeptModel[] {
  const models = new Map<string, number>();
  for (const file of files) {
    const single = /\.(safetensors|ckpt|pt|pth|bin)$/i.test(file.address) && !part.test(file.address);
    const folder = single ? file.address : file.address.replace(part, "/").replace(/[^/]*$/, "");
    models.set(folder, (models.get(folder) ?? 0) + file.bytes);
  }
  return Array.from(models, ([address, size]) => ({ address, name: keptName(address), bytes: size }));
}

/** A hub's addresses as hub names. */
function keptName(address: string): string {
  const [, hub, revision] = /^https:\/\/[^/]+\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/$/.exec(address) ?? [];
  if (hub) return revision === "main" ? hub : `${hub}@${revision}`;
  if (address === new URL(embedded, document.baseURI).href) return "sticker, the embedded model";
  return nameOf(address);
}

function Kept(): JSX.Element | null {
  const models = useComputed(() => modelsOf(cachedFiles.value));
  if (models.value.length === 0) return null;
  return (
    <section class="kept" aria-label="Kept on this device">
      <h3>Kept on this device</h3>
      <p class="hint">These start without the network.</p>
      <ul>
        {models.value.map(({ address, name, bytes: size }) => (
          <li key={address}>
            <span title={address}>{name}</span>
            <span class="muted">{bytes(size)}</span>
            {!/\/tokenizers\//.test(address) && (
              <button type="button" aria-label={`Load ${name}`} onClick={() => void loadModel(sourceOf(address), name)}>
                Load
              </button>
            )}
            <button type="button" aria-label={`Delete ${name}`} onClick={() => void forget(address)}>
              Delete
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** As it was loaded: what follows from a name differs from what follows from an address. */
function sourceOf(address: string): string {
  if (address === new URL(embedded, document.baseURI).href) return embedded;
  const hub = /^https:\/\/huggingface\.co\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/$/.exec(address);
  return hub ? `${hub[1]}@${decodeURIComponent(hub[2]!)}` : address;
}
