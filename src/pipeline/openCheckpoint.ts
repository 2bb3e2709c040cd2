import { invariant } from "../core/invariant.js";
import { type Folder, folderFromUrl } from "../weights/folder.js";
import { hubModel } from "../weights/hubName.js";
import type { RemoteFiles } from "../weights/remote.js";
import { type ByteSource, fromBlob, openUrl } from "../weights/source.js";
import type { Checkpoint } from "./checkpoint.js";
import { checkComponent, neededComponents } from "./components.js";
import { readDiffusersFolder } from "./diffusersFolder.js";
import type { CheckpointOptions, ModelSource } from "./loadOptions.js";

/**
 * Reads configurations, vocabulary and the headers of the weights of a model, and compares them; needs no graphics device.
 * A model is a folder in diffusers layout, or a single file of the original code or of Stable Diffusion (safetensors, or a
 * checkpoint of torch.save), which an address ending in a file's name, or a blob, stands for.
 * @throws WebldmError that names the file, and the field or tensor, that is missing or does not fit
 */
export async function openCheckpoint(source: ModelSource, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const { signal } = options;
  signal?.throwIfAborted();
  const places = new Places(options);
  const stop = () => places.close(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const checkpoint = await read(source, options, places);
    signal?.throwIfAborted();
    return checkpoint;
  } catch (error) {
    places.close(error);
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function read(source: ModelSource, options: CheckpointOptions, places: Places): Promise<Checkpoint> {
  const place = await places.locate(source);
  const main = "open" in place ? await readDiffusersFolder(place) : await readFile(place, options, places);
  const beside = options.vae !== undefined || options.previewer !== undefined;
  const whole = beside ? await (await import("./stagesBeside.js")).withStages(main, options, places.locate) : main;
  const remote = await places.remote;
  const checkpoint: Checkpoint = {
    ...whole,
    notes: [...whole.notes, ...(remote?.notes ?? [])],
    fetching: remote,
    close: places.close,
  };
  const { unet, firstStage } = whole.config;
  for (const [name, stage] of Object.entries({ vae: firstStage, previewer: whole.preview?.config })) {
    invariant(
      !stage || stage.latentChannels === unet.outChannels,
      `${whole.name}: the UNet gives ${unet.outChannels} channels, the latent of the ${name} has ${stage?.latentChannels}`,
    );
  }
  const settings = { dtype: "f32", maxBinding: Number.POSITIVE_INFINITY } as const;
  for (const component of neededComponents(checkpoint)) await checkComponent(component, checkpoint, settings);
  remote?.keep(whole.stored);
  await remote?.settle();
  return checkpoint;
}

/** The names of the original code are known to a module of its own, which folders have no use for. */
async function readFile(file: ByteSource, options: CheckpointOptions, places: Places): Promise<Checkpoint> {
  const { tokenizer } = options;
  const given = tokenizer === undefined ? {} : { tokenizer: await places.folder(tokenizer) };
  return (await import("./singleFile.js")).readSingleFile(file, { ...options, ...given });
}

const fileName = /\.(safetensors|ckpt|pt|pth|bin)$/i;

/** Where the files of one load are. Hub names, and files that are kept, are known to a module of their own. */
class Places {
  private readonly closing = new AbortController();
  remote: Promise<RemoteFiles> | undefined;

  constructor(private readonly options: CheckpointOptions) {}

  /** A folder, or the file that a source stands for. */
  readonly locate = async (source: ModelSource): Promise<Folder | ByteSource> => {
    if (source instanceof Blob) return fromBlob(source, source instanceof File ? source.name : "checkpoint");
    if (typeof source === "object" && ("open" in source || "read" in source)) return source;
    if (!fileName.test(String(source).replace(/[?#].*$/, ""))) {
      const isName = typeof source === "string" && hubModel(source);
      return isName ? (await this.open()).hubFolder(source) : this.folder(source);
    }
    const address = this.address(source);
    const file = await (this.options.cache ? (await this.open()).file(address) : openUrl(address, this.init));
    invariant(file, `${address}: there is no such file`);
    return file;
  };

  /** A folder, or the one at an address. */
  async folder(place: string | URL | Folder): Promise<Folder> {
    if (typeof place === "object" && "open" in place) return place;
    const address = this.address(place);
    return this.options.cache ? (await this.open()).folder(address) : folderFromUrl(address, this.init);
  }

  /** Closes all connections. */
  readonly close = (reason?: unknown): void => this.closing.abort(reason);

  private address(given: string | URL): string {
    const { base } = this.options;
    return base === undefined ? String(given) : new URL(given, base).href;
  }

  private get init(): RequestInit {
    return { signal: this.closing.signal };
  }

  private open(): Promise<RemoteFiles> {
    this.remote ??= import("../weights/remote.js").then(
      ({ RemoteFiles }) => new RemoteFiles(this.options, this.closing.signal),
    );
    return this.remote;
  }
}
