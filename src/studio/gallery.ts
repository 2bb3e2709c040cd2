import type { Picture } from "../index.js";
import { draw, page } from "./elements.js";
import type { Settings } from "./settings.js";

/** A picture of this session and what it takes to make it again. */
export interface Entry {
  readonly picture: Picture;
  readonly settings: Settings;
}

const kept = 60;
const entries: Entry[] = [];

/** Puts a picture first in the strip; a click shows it again. */
export function addToGallery(entry: Entry, onPick: (entry: Entry) => void): void {
  const { picture, settings } = entry;
  const thumbnail = document.createElement("canvas");
  draw(thumbnail, picture);
  thumbnail.setAttribute("aria-hidden", "true");
  const button = document.createElement("button");
  button.type = "button";
  button.title = settings.prompt;
  button.append(thumbnail, span(settings.prompt || "(no prompt)"), span(`seed ${picture.seed}`));
  button.addEventListener("click", () => {
    mark(button);
    onPick(entry);
  });
  const item = document.createElement("li");
  item.append(button);
  page.gallery.prepend(item);
  entries.unshift(entry);
  if (entries.length > kept) {
    entries.pop();
    page.gallery.lastElementChild?.remove();
  }
  page.gallerySection.hidden = false;
  mark(button);
}

/** Which picture is the one on show. */
function mark(current: HTMLButtonElement): void {
  for (const button of page.gallery.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button === current));
}

function span(text: string): HTMLSpanElement {
  const element = document.createElement("span");
  element.textContent = text;
  return element;
}
