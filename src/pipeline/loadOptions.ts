/** How far a model is loaded. */
export interface LoadProgress {
  /** Bytes read, of all files together. */
  readonly loaded: number;
  readonly total: number;
  /** The component being read, such as "unet". */
  readonly file: string;
}

export interface LoadOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}
