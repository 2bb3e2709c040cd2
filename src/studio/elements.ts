/** The element with this id; the page and the code come together, so a missing one is our mistake. */
function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no ${type.name} with the id ${id}`);
  return element;
}

/** Everything on the page that the code touches. */
export const page = {
  adapter: byId("adapter", HTMLParagraphElement),
  unsupported: byId("unsupported", HTMLElement),
  unsupportedReason: byId("unsupportedReason", HTMLParagraphElement),
  form: byId("form", HTMLFormElement),
  prompt: byId("prompt", HTMLTextAreaElement),
  examples: byId("examples", HTMLDivElement),
  generate: byId("generate", HTMLButtonElement),
  stop: byId("stop", HTMLButtonElement),
  settings: byId("settings", HTMLDetailsElement),
  negative: byId("negative", HTMLInputElement),
  steps: byId("steps", HTMLInputElement),
  stepsValue: byId("stepsValue", HTMLOutputElement),
  guidance: byId("guidance", HTMLInputElement),
  guidanceValue: byId("guidanceValue", HTMLOutputElement),
  seed: byId("seed", HTMLInputElement),
  dice: byId("dice", HTMLButtonElement),
  sizeField: byId("sizeField", HTMLDivElement),
  size: byId("size", HTMLSelectElement),
  models: byId("models", HTMLDetailsElement),
  modelName: byId("modelName", HTMLSpanElement),
  folder: byId("folder", HTMLInputElement),
  address: byId("address", HTMLInputElement),
  loadAddress: byId("loadAddress", HTMLButtonElement),
  builtIn: byId("builtIn", HTMLButtonElement),
  frame: byId("frame", HTMLDivElement),
  canvas: byId("canvas", HTMLCanvasElement),
  hint: byId("hint", HTMLParagraphElement),
  bar: byId("bar", HTMLProgressElement),
  status: byId("status", HTMLParagraphElement),
  pace: byId("pace", HTMLParagraphElement),
  download: byId("download", HTMLButtonElement),
  warnings: byId("warnings", HTMLUListElement),
  gallerySection: byId("gallerySection", HTMLElement),
  gallery: byId("gallery", HTMLOListElement),
};

export type State = "loading" | "ready" | "busy" | "done" | "error" | "unsupported";

/** The state of the whole page, for the style sheet and for whoever watches. */
export function setState(state: State, message: string): void {
  document.body.dataset["state"] = state;
  page.status.textContent = message;
  if (state !== "busy" && state !== "loading") page.pace.textContent = "";
}

export const getState = (): State => document.body.dataset["state"] as State;

/** Shows pixels on a canvas, one to one; the style sheet scales. */
export function draw(
  canvas: HTMLCanvasElement,
  picture: { readonly width: number; readonly height: number; readonly pixels: Uint8ClampedArray },
): void {
  const { width, height, pixels } = picture;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(pixels), width, height), 0, 0);
}
