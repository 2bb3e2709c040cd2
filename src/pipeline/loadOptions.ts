import type { Folder } from "../weights/folder.js";
import type { ByteSource } from "../weights/source.js";

/** How far a model is loaded. */
export interface LoadProgress {
  /** Bytes read, of all files together. */
  readonly loaded: number;
  /** Bytes that there are to read. */
  readonly total: number;
  /** The component being read, such as "unet". */
  readonly file: string;
}

/** Where a model, or a part of one, is: an address, a file, or a folder. */
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
  /** Running averages of the weights are taken where the file has them, unless this is false. */
  readonly ema?: boolean;
  /** Stops reading; the call rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface LoadOptions extends CheckpointOptions {
  /** Called as bytes arrive. */
  readonly onProgress?: (progress: LoadProgress) => void;
}
