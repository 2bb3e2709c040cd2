import { computed, signal } from "@preact/signals";
import type { KernelTime, LayoutObject, SamplerName } from "../index.js";
import type { Entry } from "./galleryStore.js";
import type {
  AdapterFacts,
  CachedFile,
  Inspection,
  LoadProgress,
  Margins,
  Memory,
  Mode,
  ModelFacts,
  Source,
} from "./protocol.js";
import type { Settings } from "./settings.js";
import type { Trouble } from "./trouble.js";

/** Six digits are enough to be surprised and short enough to read out. */
export const rollSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000;

/** What the fields say. */
export const form = {
  mode: signal<Mode>("text"),
  prompt: signal(""),
  negativePrompt: signal(""),
  steps: signal(20),
  guidance: signal(5),
  sampler: signal<SamplerName | "">(""),
  seed: signal(rollSeed()),
  /** The seed stays from one picture to the next. */
  seedLocked: signal(false),
  width: signal(128),
  height: signal(128),
  /** Pictures, one after the other. */
  count: signal(1),
  strength: signal(0.6),
  label: signal(0),
  noiseLevel: signal(20),
  margins: signal<Margins>({ left: 0, right: 0, top: 0, bottom: 0 }),
  objects: signal<readonly LayoutObject[]>([]),
};

/** A model on the graphics card. */
export interface Loaded {
  readonly source: Source;
  readonly name: string;
  readonly facts: ModelFacts;
}

/** A model that was looked at and waits for a yes. */
export interface Candidate {
  readonly source: Source;
  readonly name: string;
  /** What a link asks for beside it. */
  readonly settings?: Partial<Settings>;
  readonly inspection?: Inspection;
  readonly trouble?: Trouble;
}

/** How far a picture is. */
export interface Drawing {
  readonly step: number;
  readonly steps: number;
  /** Of a step; undefined before the third. */
  readonly milliseconds?: number;
  /** Which picture of how many. */
  readonly index: number;
  readonly count: number;
}

/** A picture that was given to begin with. */
export interface Given {
  readonly bitmap: ImageBitmap;
  readonly blob: Blob;
}

/** Why there is no WebGPU; undefined where there is. */
export const unsupported = signal<string | undefined>(undefined);
export const adapter = signal<AdapterFacts | undefined>(undefined);
export const model = signal<Loaded | undefined>(undefined);
/** What is being loaded. */
export const loading = signal<{ readonly name: string; readonly progress?: LoadProgress } | undefined>(undefined);
export const candidate = signal<Candidate | undefined>(undefined);
export const cachedFiles = signal<readonly CachedFile[]>([]);
export const drawing = signal<Drawing | undefined>(undefined);
/** What the picture looks like so far. */
export const forming = signal<ImageBitmap | undefined>(undefined);
export const shown = signal<Entry | undefined>(undefined);
export const gallery = signal<readonly Entry[]>([]);
export const given = signal<Given | undefined>(undefined);
export const trouble = signal<Trouble | undefined>(undefined);
/** The line under the picture, which screen readers read out as it changes. */
export const status = signal("Starting…");
export const modelsOpen = signal(false);

/** Facts for the technical drawer. */
export const technical = {
  memory: signal<Memory | undefined>(undefined),
  stepMilliseconds: signal<number | undefined>(undefined),
  kernels: signal<readonly KernelTime[]>([]),
  open: signal(false),
};

/** Where the whole page is. */
export const phase = computed(() => {
  if (unsupported.value !== undefined) return "unsupported";
  if (drawing.value) return "busy";
  if (loading.value || !adapter.value) return "loading";
  if (trouble.value) return "error";
  return model.value ? "ready" : "empty";
});
