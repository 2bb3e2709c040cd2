/** webldm/worker: the same API, with the engine in a worker: the page stays smooth while pictures are drawn. */
import { invariant, WebldmError } from "./core/invariant.js";
import type { Drawn } from "./pipeline/request.js";
import { stepsOf } from "./pipeline/steps.js";
import { Channel, Handed } from "./worker/channel.js";
import { drawnToBitmaps } from "./worker/drawables.js";
import type { Greeting, TravellingModel, WorkerSide } from "./worker/protocol.js";
import type {
  WorkerEngine,
  WorkerEngineOptions,
  WorkerLoadOptions,
  WorkerModel,
  WorkerSource,
} from "./worker/remote.js";

export { UnsupportedError, WebldmError } from "./core/invariant.js";
export type {
  BitmapDrawn,
  BitmapModel,
  BitmapPicture,
  BitmapRequest,
  BitmapStep,
  BitmapStepInfo,
  InBitmap,
  WorkerEngine,
  WorkerEngineOptions,
  WorkerLoadOptions,
  WorkerModel,
  WorkerSource,
} from "./worker/remote.js";

/** Starts a worker with an engine in it. @throws WebldmError where the worker does not start, or has no WebGPU */
export async function createWorkerEngine(options: WorkerEngineOptions = {}): Promise<WorkerEngine> {
  const { worker: given, ...engineOptions } = options;
  const worker = workerOf(given);
  const { port1, port2 } = new MessageChannel();
  const channel = new Channel(port1, false);
  const end = (reason: string) => {
    channel.close(new WebldmError(reason));
    if (worker !== given) worker.terminate();
  };
  const failed = ({ message }: Partial<ErrorEvent>) =>
    end(`the worker did not start: ${message || "its script could not be loaded"}`);
  worker.addEventListener("error", failed);
  try {
    worker.postMessage({ webldm: port2 } satisfies Greeting, [port2]);
    const side = (await channel.start(engineOptions, baseAddress())) as WorkerSide;
    return engineOf(channel, side, () => end("the engine was disposed"));
  } catch (error) {
    end("the engine was not created");
    throw error;
  } finally {
    worker.removeEventListener("error", failed);
  }
}

function workerOf(given: WorkerEngineOptions["worker"]): Worker {
  if (typeof Worker === "undefined") {
    throw new WebldmError("worker: expected an environment with Worker, this one has none (createEngine needs none)");
  }
  if (given instanceof Worker) return given;
  // Bundlers find the script by this very form.
  if (given === undefined) return new Worker(new URL("./worker-entry.js", import.meta.url), { type: "module" });
  return new Worker(given, { type: "module" });
}

const baseAddress = (): string => globalThis.document?.baseURI ?? globalThis.location.href;

function engineOf(channel: Channel, side: WorkerSide, end: () => void): WorkerEngine {
  const load = async (source: WorkerSource, options: WorkerLoadOptions = {}) => {
    const opened = typeof source === "object" && "stored" in source;
    invariant(!opened, "load: expected a source, not what openCheckpoint has read: that stays on its thread");
    invariant(
      typeof options.cache !== "object",
      "cache: expected true or false, a cache of one's own stays on its thread",
    );
    const handed = new Handed(); // a folder's functions are called as long as the model lives
    const dispose = (model: TravellingModel) => {
      channel.call(model.methods["dispose"]!, []).catch(() => undefined); // of no more use either way
      channel.release(handed);
    };
    try {
      const late = (model: unknown) => dispose(model as TravellingModel);
      const model = await channel.call(side.load, [source, options], { handed, late });
      return modelOf(model as TravellingModel, dispose);
    } catch (error) {
      channel.release(handed);
      throw error;
    }
  };
  return {
    adapter: side.adapter,
    dtype: side.dtype,
    load: load as WorkerEngine["load"],
    dispose() {
      channel.call(side.dispose, []).catch(() => undefined);
      end();
    },
  };
}

/** A model of the worker's methods and facts, whichever they are. */
function modelOf(model: TravellingModel, dispose: (model: TravellingModel) => void): WorkerModel {
  let { memory } = model;
  let disposed = false;
  const methods: Record<string, (...args: never[]) => unknown> = {};
  for (const [name, method] of Object.entries(model.methods)) {
    methods[name] = async (...args: unknown[]) => {
      if (disposed) throw new WebldmError("the model was disposed");
      const drawn = drawnToBitmaps(args);
      const answer = await method(...(drawn ? await drawn : args));
      memory = answer.memory;
      return answer.value;
    };
  }
  const steps: WorkerModel["steps"] = (request, task) => {
    const draw = methods[task ?? "textToImage"] as (given: typeof request) => Promise<Drawn<typeof request>>;
    return stepsOf(draw, request);
  };
  methods["steps"] = steps; // by the task itself: what its steps tell comes over here anyway
  methods["dispose"] = () => {
    if (disposed) return;
    disposed = true;
    dispose(model);
  };
  const remote = { ...model.facts, ...methods };
  return Object.defineProperty(remote, "memory", { get: () => memory, enumerable: true }) as WorkerModel;
}
