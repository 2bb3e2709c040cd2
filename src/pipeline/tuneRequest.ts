import type { TuneProgress } from "../tuning/tune.js";
import type { RequestShape } from "./requestGraphs.js";

export type { TuneProgress } from "../tuning/tune.js";

/** What is measured, and for how long: the ops of a picture from noise of this size. */
export interface TuneRequest extends RequestShape {
  /** What the measuring may take at most; 30 by default. What is under way when they are over is finished. */
  readonly seconds?: number;
  /** Measures what was measured before as well. */
  readonly again?: boolean;
  /** Called as ops are measured. */
  readonly onProgress?: (progress: TuneProgress) => void | Promise<void>;
}
