import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import { type AdapterName, openAdapter } from "../harness/adapters.js";
import { openSeeded } from "./seededModel.js";
import { SeededTask, type StoredTask } from "./seededTask.js";

/** The models of stored tasks in f32 on one adapter, loaded when they are first asked for. */
export class SeededModels {
  private readonly models = new Map<string, Promise<LatentDiffusion>>();

  private constructor(private readonly engine: Engine) {}

  static async on(name: AdapterName): Promise<SeededModels> {
    return new SeededModels(await createEngine({ adapter: (await openAdapter(name))!, dtype: "f32" }));
  }

  get(task: string): Promise<LatentDiffusion> {
    let model = this.models.get(task);
    if (!model) {
      model = this.load(task);
      this.models.set(task, model);
    }
    return model;
  }

  dispose(): void {
    this.engine.dispose();
  }

  /** The model of a stored task, changed. */
  async changed(task: string, change: (stored: StoredTask) => StoredTask): Promise<LatentDiffusion> {
    const { stored } = await SeededTask.read(task);
    return this.engine.load(await openSeeded({ stored: change(stored) }));
  }

  private load(task: string): Promise<LatentDiffusion> {
    return this.changed(task, (stored) => stored);
  }
}
