import type { TinyAutoencoderConfig } from "../models/tinyAutoencoder.js";
import type { LayoutObject } from "../text/boxes.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { Fetching } from "../weights/remote.js";
import type { StoredTensor } from "../weights/safetensors.js";
import type { ModelConfig } from "./modelConfig.js";
import type { Defaults } from "./request.js";

/** Where the tensors of a part are found, by the names of a diffusers folder. */
export type Store = "text_encoder" | "unet" | "vae" | "rescaler" | "preview";

/** What a checkpoint holds, read and found consistent; the weights themselves are still where they were. */
export interface Checkpoint {
  /** Name of the folder or file, for messages. */
  readonly name: string;
  /** Configurations of the networks and the sampler. */
  readonly config: ModelConfig;
  /** Of models of text. */
  readonly tokenizer: Tokenizer | undefined;
  /** Of models of layouts: objects and their places as ids. */
  readonly layout?: ((objects: readonly LayoutObject[], categories?: number) => number[]) | undefined;
  /** What requests take where they name nothing. */
  readonly defaults: Defaults;
  /** Width and height of pictures must be multiples of this. */
  readonly sizeMultiple: number;
  /** Tensors of each part by diffusers' names, not read yet. */
  readonly stored: Readonly<Partial<Record<Store, ReadonlyMap<string, StoredTensor>>>>;
  /** A small autoencoder for previews. */
  readonly preview: { readonly config: TinyAutoencoderConfig } | undefined;
  /** What pictures of this model should be accompanied by. */
  readonly notes: readonly string[];
  /** Files that are to be brought into the cache while weights are read; undefined where all are read where they are. */
  readonly fetching?: Fetching | undefined;
  /** Closes connections to the servers of files that were asked for by address. Weights that were not read stay unread. */
  close?(): void;
}
