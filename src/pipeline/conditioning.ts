import { invariant } from "../core/invariant.js";
import type { LayoutObject } from "../text/boxes.js";
import type { Checkpoint } from "./checkpoint.js";
import type { ModelConfig } from "./modelConfig.js";
import { integer } from "./request.js";

/** What a picture is to show, told in the way that the model understands. */
export interface Conditioning {
  /** Of models of text: up to 8000 characters; what exceeds the model's window is cut, with a warning in the result. */
  readonly prompt?: string;
  /** Of models of text: what the picture should not show; used when guidance is not 1. */
  readonly negativePrompt?: string;
  /** Of class-conditional models: the class. */
  readonly label?: number;
  /** Of models of layouts: how many categories there are; only needed to tell attributes of objects. */
  readonly categories?: number;
  /** Of models of layouts: the objects and where they are. */
  readonly objects?: readonly LayoutObject[];
  /** Of models with cross-attention: a context that was encoded elsewhere, in place of what the model would encode. */
  readonly context?: EncodedContext;
  /** Of retrieval-augmented models: CLIP embeddings, which are brought to unit length. */
  readonly embeddings?: readonly Float32Array[];
}

/** What the denoiser attends to, as numbers: [T, D], row by row. */
export interface EncodedContext {
  /** For the conditional half: `T * D` numbers. */
  readonly values: Float32Array;
  /** For the unconditional half of guidance; zeros where absent. */
  readonly negative?: Float32Array;
}

/** A conditioning for the denoiser's context: ids to encode, or the context's values; [unconditional, conditional] if guided. */
export interface Context {
  readonly guided: boolean;
  /** Rows of the context. */
  readonly length: number;
  readonly ids?: readonly (readonly number[])[];
  readonly values?: Float32Array<ArrayBuffer>;
  readonly labels?: readonly number[];
  readonly warnings: readonly string[];
}

/** What of a model decides how conditionings become numbers. */
type Conditioned = Pick<Checkpoint, "config" | "tokenizer" | "layout">;

const longestPrompt = 8000;

const fields = { clip: "prompt", bert: "prompt", boxes: "objects", class: "label", embeddings: "embeddings" } as const;

/** Which field of a conditioning a model takes; undefined for unconditional ones. */
export function conditioningField({ conditioner, unet, concat }: ModelConfig): keyof Conditioning | undefined {
  if (conditioner.kind !== "none") return fields[conditioner.kind];
  return unet.labels && concat.kind !== "lowResolution" ? "label" : undefined;
}

const described: Readonly<Record<string, string>> = {
  prompt: "a text",
  objects: "a layout of objects",
  label: "a class label",
  embeddings: "embeddings",
};

/**
 * Checks a conditioning against the model and brings it into the numbers that the model takes, for a batch of pictures.
 * @throws WebldmError where the model needs something else
 */
export function contextOf(
  model: Conditioned,
  conditioning: Conditioning,
  { guidance, images }: { readonly guidance: number; readonly images: number },
): Context {
  const { config } = model;
  if (conditioning.context) return givenContext(config, conditioning, { guidance, images });
  const field = conditioningField(config);
  checkFields(conditioning, field);
  const guided = guidance !== 1 && config.conditioner.kind !== "none";
  const both = <T>(negative: T, positive: T): T[] => [
    ...(guided ? Array<T>(images).fill(negative) : []),
    ...Array<T>(images).fill(positive),
  ];
  const { conditioner } = config;
  switch (conditioner.kind) {
    case "none": {
      invariant(guidance === 1, `guidance: this model has no unconditional half, expected 1, got ${guidance}`);
      const labels = field === "label" ? both(0, classLabel(conditioning.label, unetClasses(config))) : undefined;
      return { guided, length: 0, warnings: [], ...(labels ? { labels } : {}) };
    }
    case "clip":
    case "bert": {
      const { prompt = "", negativePrompt = "" } = conditioning;
      checkText("prompt", prompt);
      checkText("negativePrompt", negativePrompt);
      const positive = tokenize(model, prompt);
      const negative = tokenize(model, negativePrompt, "negative prompt");
      const warnings = [...(guided ? [negative.warning] : []), positive.warning].filter((w) => w !== undefined);
      return { guided, length: conditioner.config.positions, ids: both(negative.ids, positive.ids), warnings };
    }
    case "boxes": {
      const length = conditioner.config.positions;
      const { layout } = model;
      invariant(layout, "objects: the checkpoint does not say how layouts become tokens");
      return {
        guided,
        length,
        ids: both(layout([]), layout(conditioning.objects!, conditioning.categories)),
        warnings: [],
      };
    }
    case "class": {
      const { classes } = conditioner;
      return { guided, length: 1, ids: both([classes - 1], [classLabel(conditioning.label, classes)]), warnings: [] };
    }
    case "embeddings": {
      const embeddings = conditioning.embeddings!;
      const length = embeddings.length;
      const values = new Float32Array(images * (guided ? 2 : 1) * length * conditioner.width);
      const one = unitRows(embeddings, conditioner.width);
      for (let i = guided ? images : 0, n = images * (guided ? 2 : 1); i < n; i++) values.set(one, i * one.length);
      return { guided, length, values, warnings: [] }; // the unconditional half is zeros
    }
  }
}

function givenContext(
  { unet }: ModelConfig,
  { context, ...others }: Conditioning,
  { guidance, images }: { readonly guidance: number; readonly images: number },
): Context {
  const other = Object.entries(others).find(([, value]) => value !== undefined);
  invariant(!other, `${other?.[0]}: expected nothing beside a context that is given`);
  const width = unet.contextWidth;
  invariant(width !== undefined, "context: the model attends to none");
  const { values, negative } = context!;
  for (const [name, given] of Object.entries({ "context.values": values, "context.negative": negative ?? values })) {
    const fits = given instanceof Float32Array && given.length === values.length && given.length > 0;
    invariant(fits && given.length % width === 0, `${name}: expected rows of ${width} numbers, got ${given?.length}`);
    invariant(given.every(Number.isFinite), `${name}: expected finite numbers`);
  }
  const guided = guidance !== 1;
  const rows = [...(guided ? [negative ?? new Float32Array(values.length)] : []), values];
  const all = new Float32Array(rows.length * images * values.length);
  for (const [half, row] of rows.entries()) {
    for (let i = 0; i < images; i++) all.set(row, (half * images + i) * values.length);
  }
  return { guided, length: values.length / width, values: all, warnings: [] };
}

/** The conditioning among the options of a request. */
export function conditioningOf(request: Conditioning): Conditioning {
  const { prompt, negativePrompt, label, objects, categories, embeddings, context } = request;
  const given = Object.entries({ prompt, negativePrompt, label, objects, categories, embeddings, context });
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** The texts of a conditioning, for the result. */
export const texts = ({ prompt, negativePrompt }: Conditioning) => ({
  ...(prompt === undefined ? {} : { prompt }),
  ...(negativePrompt === undefined ? {} : { negativePrompt }),
});

/** Token ids as the text encoder gets them, and a warning where the text did not fit. */
export function tokenize(
  { config, tokenizer }: Conditioned,
  text: string,
  name = "prompt",
): { ids: number[]; warning?: string } {
  const { conditioner } = config;
  invariant(
    tokenizer && (conditioner.kind === "clip" || conditioner.kind === "bert"),
    "prompt: this model is not conditioned on text",
  );
  const { positions } = conditioner.config;
  const { ids, truncated, tokens } = tokenizer.encodePadded(text, positions);
  if (!truncated) return { ids };
  return {
    ids,
    warning: `the ${name} has ${tokens} tokens, the model reads ${positions - 2}; cut off: "${truncated}"`,
  };
}

/** Fields that go with another one. */
const companions: Readonly<Partial<Record<keyof Conditioning, keyof Conditioning>>> = {
  negativePrompt: "prompt",
  categories: "objects",
};

function checkFields(conditioning: Conditioning, field: keyof Conditioning | undefined): void {
  const takes = field ? `is conditioned on ${described[field]}` : "is unconditional";
  for (const name of ["prompt", "negativePrompt", "label", "objects", "categories", "embeddings"] as const) {
    const allowed = name === field || (companions[name] !== undefined && companions[name] === field);
    invariant(conditioning[name] === undefined || allowed, `${name}: this model ${takes}`);
  }
  if (field) invariant(conditioning[field] !== undefined, `${field}: this model ${takes}, got none`);
}

/** What a picture from text alone cannot do without. */
export function checkPrompt(prompt: string | undefined, negativePrompt = ""): asserts prompt is string {
  checkText("prompt", prompt);
  checkText("negativePrompt", negativePrompt);
  invariant(prompt.trim() !== "", `prompt: expected 1 to ${longestPrompt} characters, got an empty prompt`);
}

function checkText(name: string, text: unknown): asserts text is string {
  invariant(typeof text === "string", `${name}: expected text, got ${typeof text}`);
  invariant(text.length <= longestPrompt, `${name}: expected at most ${longestPrompt} characters, got ${text.length}`);
}

const unetClasses = ({ unet }: ModelConfig): number => (unet.labels?.kind === "table" ? unet.labels.classes : 0);

function classLabel(label: number | undefined, classes: number): number {
  integer("label", label ?? Number.NaN, 0, classes - 1);
  return label!;
}

function unitRows(rows: readonly Float32Array[], width: number): Float32Array {
  invariant(Array.isArray(rows) && rows.length > 0, "embeddings: expected at least one");
  const out = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    const fits = row instanceof Float32Array && row.length === width;
    invariant(fits, `embeddings: expected ${width} numbers each, embedding ${i} has ${row?.length}`);
    const norm = Math.hypot(...row);
    invariant(norm > 0 && Number.isFinite(norm), `embeddings: embedding ${i} has length ${norm}`);
    for (const [j, x] of row.entries()) out[i * width + j] = x / norm;
  }
  return out;
}
