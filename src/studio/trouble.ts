/** What went wrong, for a person, and what can be done about it. */
export interface Trouble {
  readonly title: string;
  readonly text: string;
  /** `reload`: start the engine anew with the same model. */
  readonly remedy?: "reload";
  /** The library's own words, where the text says it differently. */
  readonly detail?: string;
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";

/** An error of the engine in words. */
export function troubleOf(error: unknown, doing: "drawing" | "loading"): Trouble {
  const detail = firstLine(error);
  if (/device was lost|worker (did not start|ended)|adapter gives no device/i.test(detail)) {
    const text = "The driver was reset, or the computer slept or changed cards. Your pictures and settings are safe.";
    return { title: "The graphics card was lost", text, remedy: "reload", detail };
  }
  if (/out of memory|needs a buffer|not enough memory|allocation|needs \d+ bytes of memory/i.test(detail)) {
    const lower =
      doing === "drawing"
        ? "Choose a smaller size, turn guidance down to 1, or close other pages that use the graphics card."
        : "Choose a smaller model, or a float16 one, or close other pages that use the graphics card.";
    return { title: "Not enough graphics memory", text: lower, remedy: "reload", detail };
  }
  if (doing === "drawing") return { title: "This picture could not be drawn", text: sentence(detail) };
  if (/fetch|network|answered \d|could not be (reached|read)/i.test(detail)) {
    const text = navigator.onLine ? sentence(detail) : "There is no network, and this model is not kept here yet.";
    return { title: "The model could not be fetched", text, detail };
  }
  const title = "This is no model that can be loaded";
  if (!/neither safetensors|HeaderToo|InvalidHeader|header/i.test(detail)) return { title, text: sentence(detail) };
  const text =
    "The file is no .safetensors or .ckpt file, or it is damaged or cut off. Fetch it again, or choose another.";
  return { title, text, detail };
}

/** Why there is no WebGPU, in words. */
export function missingGpu(error?: unknown): string {
  if (error) return `The browser has WebGPU but gave no graphics card: ${firstLine(error)}`;
  return window.isSecureContext
    ? "This browser does not offer it."
    : "This browser offers it to secure addresses only (https://, or http://localhost), and this is not one.";
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
