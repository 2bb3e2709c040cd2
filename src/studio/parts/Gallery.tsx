import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { dropEntries, type Entry } from "../galleryStore.js";
import { restoreEntry } from "../restore.js";
import { gallery, shown, status } from "../state.js";
import { dropUrl, urlOf } from "../urls.js";
import { Icon } from "./Icon.js";

/** What was made in this browser. A click brings a picture back, with what made it. */
export function Gallery(): JSX.Element {
  const entries = gallery.value;
  const asking = useSignal(false);
  return (
    <section class="gallery" aria-labelledby="galleryTitle">
      <div class="heading">
        <h2 id="galleryTitle">
          Made here <span class="muted">{entries.length > 0 ? entries.length : ""}</span>
        </h2>
        {entries.length > 0 &&
          (asking.value ? (
            <span class="joined">
              <button
                type="button"
                class="danger"
                onClick={() => {
                  asking.value = false;
                  void clear();
                }}
              >
                Delete all {entries.length}
              </button>
              <button
                type="button"
                onClick={() => {
                  asking.value = false;
                }}
              >
                Keep them
              </button>
            </span>
          ) : (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                asking.value = true;
              }}
            >
              Clear…
            </button>
          ))}
      </div>
      {entries.length === 0 ? (
        <p class="hint">
          Pictures stay in this browser, and nowhere else. Drop a saved one here to get its settings back.
        </p>
      ) : (
        <ol>
          {entries.map((entry) => (
            <Tile key={entry.id} entry={entry} />
          ))}
        </ol>
      )}
    </section>
  );
}

function Tile({ entry }: { readonly entry: Entry }): JSX.Element {
  const { settings, png, stoppedAt } = entry;
  const name = settings.prompt || settings.mode;
  return (
    <li>
      <button
        type="button"
        class="tile"
        aria-pressed={shown.value?.id === entry.id}
        title={`${name}\n${settings.steps} steps, guidance ${settings.guidance}, seed ${settings.seed}`}
        onClick={() => void restoreEntry(entry)}
      >
        <img src={urlOf(png)} alt="" loading="lazy" width={entry.width} height={entry.height} />
        <span>{name}</span>
        <span class="muted">{stoppedAt === undefined ? `seed ${settings.seed}` : `stopped at ${stoppedAt}`}</span>
      </button>
      <button type="button" class="square remove" aria-label={`Delete ${name}`} onClick={() => void remove(entry)}>
        <Icon name="close" />
      </button>
    </li>
  );
}

async function remove(entry: Entry): Promise<void> {
  await drop([entry]);
  status.value = "Deleted.";
}

async function clear(): Promise<void> {
  await drop(gallery.value); // another tab may have made more
  status.value = "The gallery is empty.";
}

/** Deletes pictures, then says so: a page that is left meanwhile would have them again. */
async function drop(entries: readonly Entry[]): Promise<void> {
  const ids = entries.map(({ id }) => id);
  await dropEntries(ids).catch(() => undefined); // a browser that keeps nothing has nothing to delete
  gallery.value = gallery.value.filter(({ id }) => !ids.includes(id));
  if (shown.value && ids.includes(shown.value.id)) shown.value = undefined;
  for (const { png } of entries) dropUrl(png);
}
