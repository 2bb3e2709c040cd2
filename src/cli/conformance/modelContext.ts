import type { StoredTensor } from "../../weights/safetensors.js";
import type { GoldenFile } from "./goldenFile.js";
import type { Lab } from "./lab.js";

/** What a model's case runs with. */
export interface ModelContext {
  readonly json: unknown;
  readonly configPath: string;
  readonly io: GoldenFile;
  readonly weights: ReadonlyMap<string, StoredTensor>;
  readonly lab: Lab;
}
