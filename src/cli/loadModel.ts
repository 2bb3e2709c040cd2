import { existsSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../core/invariant.js";
import { type Checkpoint, createEngine, type Engine, type LatentDiffusion, openCheckpoint } from "../index.js";
import type { RequestShape } from "../pipeline/requestGraphs.js";
import { openAdapter } from "./dawn.js";
import { checkpointOptions, modelSource } from "./modelPath.js";
import { packageRoot } from "./packageRoot.js";
import type { Progress } from "./progress.js";
import type { DeviceOptions, ModelOptions, TuningFlags } from "./sharedOptions.js";
import { noteOtherAdapter, tuningOptions } from "./tuningFile.js";

/** Reads a model's headers; needs no graphics device. */
export async function readCheckpoint(options: ModelOptions, signal: AbortSignal): Promise<Checkpoint> {
  const source = await modelSource(options.model ?? embeddedModel());
  return openCheckpoint(source, { ...(await checkpointOptions(options)), signal });
}

/** What pictures of a model are marked with. */
export const modelName = ({ model }: ModelOptions): string => model ?? "sticker";

/** The model that comes with the package. */
function embeddedModel(): string {
  const path = join(packageRoot(), "weights", "sticker");
  invariant(existsSync(path), `--model: expected a model folder, and this package holds none of its own (${path})`);
  return path;
}

/** A model on a graphics device of this machine. */
export interface Opened {
  readonly engine: Engine;
  readonly model: LatentDiffusion;
}

/** Opens a graphics device and loads a model, for pictures of a shape where it is tuned. The caller disposes of the engine. */
export async function loadModel(
  checkpoint: Checkpoint,
  { dtype, ...flags }: Pick<DeviceOptions, "dtype"> & TuningFlags,
  shape: RequestShape,
  progress: Progress,
  signal: AbortSignal,
): Promise<Opened> {
  const tuning = await tuningOptions(flags, shape, progress);
  const engine = await createEngine({ adapter: await openAdapter(), ...(dtype ? { dtype } : {}) });
  try {
    if (tuning.tuning) noteOtherAdapter(tuning.tuning, engine, progress);
    return { engine, model: await engine.load(checkpoint, { ...tuning, onProgress: progress.onLoad, signal }) };
  } catch (error) {
    engine.dispose();
    throw error;
  }
}
