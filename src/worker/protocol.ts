import type { EngineOptions, LatentDiffusion } from "../index.js";
import type { Callable } from "./pack.js";
import type { WorkerLoadOptions, WorkerSource } from "./remote.js";

/** The page's first message to the worker: everything else goes over the port. */
export interface Greeting {
  readonly webldm: MessagePort;
}

/** What the worker starts when the page calls it for the first time. */
export type Start = (options: EngineOptions, base: string) => Promise<WorkerSide>;

/** An engine as it travels. */
export interface WorkerSide {
  readonly adapter: string;
  readonly dtype: "f32" | "f16";
  load(source: WorkerSource, options: WorkerLoadOptions): Promise<TravellingModel>;
  dispose(): void;
}

type Fact = Exclude<
  { [K in keyof LatentDiffusion]: LatentDiffusion[K] extends Callable ? never : K }[keyof LatentDiffusion],
  "programs" | "memory"
>;

/** A model as it travels. */
export interface TravellingModel {
  /** What stays the same. */
  readonly facts: Pick<LatentDiffusion, Fact>;
  /** Each answers with the memory that the model takes afterwards. */
  readonly methods: Readonly<Record<string, (...args: unknown[]) => Promise<Answer>>>;
  readonly memory: LatentDiffusion["memory"];
}

export interface Answer {
  readonly value: unknown;
  readonly memory: LatentDiffusion["memory"];
}
