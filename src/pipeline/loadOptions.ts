import type { TuningTable } from "../core/tuningTable.js";
import type { ModelCache } from "../weights/cache.js";
import type { Folder } from "../weights/folder.js";
import type { ByteSource } from "../weights/source.js";
import type { PrepareOptions } from "./request.js";
import type { TuneRequest } from "./tuneRequest.js";

/** How far a model is loaded. */
export interface LoadProgress {
  /** Bytes read, of all files together. */
  readonly loaded: number;
  /** Bytes that there are to read. */
  readonly total: number;
  /** The component being read, such as "unet". */
  readonly file: string;
}

/**
 * Where a model, or a part of one, is: an address, a hub name, a file, or a folder.
 *
 * A string is a hub name if it reads `owner/name` or `owner/name@revision` and does not end in `.safetensors`, `.ckpt`, `.pt`,
 * `.pth` or `.bin`. So an address relative to the page begins with `./`, `../` or `/`, or ends with `/`.
 */
export type ModelSource = string | URL | Blob | ByteSource | Folder;

/** What may accompany a checkpoint. */
export interface CheckpointOptions {
  /**
   * Vocabulary of a single-file checkpoint, which holds none: a folder with `merges.txt` (CLIP) or `vocab.txt` (BERT), such
   * as those in `weights/tokenizers`, or a folder that holds both, in `clip` and `bert`.
   */
  readonly tokenizer?: string | URL | Folder;
  /** The original code's configuration of a single-file checkpoint, as an object; else it is told from the tensors. */
  readonly config?: unknown;
  /** Another first stage in place of the checkpoint's own: a file, or a diffusers folder with `config.json`. */
  readonly vae?: ModelSource;
  /** A small autoencoder (TAESD, AutoencoderTiny in diffusers layout) that decodes previews. */
  readonly previewer?: ModelSource;
  /** What relative addresses are relative to: the page's own address by default. */
  readonly base?: string | URL;
  /** The hub that hub names belong to, such as `https://hub.example.com`. */
  readonly host?: string;
  /** Access token of the hub, for models that need one. It is sent to the hub alone, and with hub names alone. */
  readonly token?: string;
  /**
   * Keeps fetched files, so that the next load asks for nothing and works offline: `true` for every address, `false` for
   * none, or a cache of your own (`openCache`). By default models of the hub are kept and other addresses are not.
   */
  readonly cache?: boolean | ModelCache;
  /** Running averages of the weights are taken where the file has them, unless this is false. */
  readonly ema?: boolean;
  /** Stops reading; the call rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface LoadOptions extends CheckpointOptions {
  /** Called as bytes arrive. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /**
   * Compiles the kernels that a picture of a size needs while the weights arrive; `{}` for the model's own size. The model's
   * `prepare` then has little left to do.
   */
  readonly prepare?: PrepareOptions;
  /**
   * Finds out which forms of the kernels are the fastest on this adapter, before weights are read: takes up to half a minute
   * the first time, and is kept for the next. Pictures differ from those without by rounding. No by default.
   */
  readonly tune?: boolean | TuneRequest;
  /** The table of an earlier tuning (`model.tuning`): pictures drawn with one table have the same bytes. */
  readonly tuning?: TuningTable;
}
