import type { ByteSource } from "./byteSource.js";

/** A flat folder of files that this library alone writes to. */
export interface FileStore {
  /** What messages call it. */
  readonly name: string;
  names(): Promise<string[]>;
  /** A file as it is now; undefined where there is none. */
  open(name: string): Promise<ByteSource | undefined>;
  /** A new file, written from its begin. What was written before the last `close`, or an end without one, may be lost. */
  create(name: string): Promise<FileSink>;
  /** A small file, of which others see all or nothing. @returns false where one of this name is there already */
  put(name: string, text: string): Promise<boolean>;
  /** Whether nobody else can be writing to any of these files. Asked by one whose turn it is, where writers take turns. */
  areIdle(names: readonly string[]): Promise<boolean>;
  /** Does nothing where there is no such file. */
  remove(name: string): Promise<void>;
}

export interface FileSink {
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
}
