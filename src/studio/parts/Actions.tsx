import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { fileName } from "../format.js";
import type { Entry } from "../galleryStore.js";
import { linkOf, takesPicture } from "../settings.js";
import { takePicture } from "../source.js";
import { drawing, form, shown, status } from "../state.js";
import { urlOf } from "../urls.js";
import { Icon } from "./Icon.js";

/** What can be done with the picture on show. */
export function Actions(): JSX.Element {
  const entry = shown.value;
  const copied = useSignal<{ readonly entry: Entry; readonly link: string } | undefined>(undefined);
  const off = !entry || drawing.value !== undefined;
  const copy = async () => {
    if (!entry) return;
    const link = linkOf(entry.settings, location.href);
    try {
      await navigator.clipboard.writeText(link);
      status.value = takesPicture(entry.settings.mode)
        ? "Link copied. It has the settings, but not the picture that this one began with."
        : "Link copied: it draws this picture again.";
      copied.value = undefined;
    } catch {
      copied.value = { entry, link }; // without the right to the clipboard, the person copies it
    }
  };
  return (
    <div class="actions">
      <button id="save" type="button" disabled={off} onClick={() => entry && save(entry)}>
        <Icon name="save" /> Save PNG
      </button>
      <button id="copyLink" type="button" disabled={off} onClick={() => void copy()}>
        <Icon name="link" /> Copy link
      </button>
      <button
        id="workOn"
        type="button"
        disabled={off}
        onClick={async () => {
          if (!entry) return;
          await takePicture(entry.png);
          if (!takesPicture(form.mode.value)) form.mode.value = "image";
        }}
      >
        <Icon name="inpaint" /> Work on it
      </button>
      {copied.value?.entry === entry && copied.value && (
        <input
          class="copied"
          type="text"
          readOnly
          aria-label="Link to this picture"
          value={copied.value.link}
          ref={(field) => field?.select()}
        />
      )}
      {entry && entry.warnings.length > 0 && (
        <ul class="warnings">
          {entry.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function save({ png, settings }: Entry): void {
  const link = document.createElement("a");
  link.href = urlOf(png);
  link.download = fileName(settings.prompt, settings.seed);
  link.click();
}
