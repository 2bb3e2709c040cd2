import { invariant } from "../core/invariant.js";

/** Random access to bytes that may be far away. */
export interface ByteSource {
  /** Where the bytes come from, for messages. */
  readonly name: string;
  /** Bytes there are. */
  readonly size: number;
  /** Reads that together come sooner than one after the other; 1 where it does not say. */
  readonly readsAtOnce?: number;
  /**
   * Bytes from `begin` up to but not including `end`. The result may share memory with the source, so treat it as
   * read-only. Fails beyond the size and where fewer bytes come; an abort rejects with the reason of the signal.
   * @param into memory for at least so many bytes, which the source may take: it may be detached then, and the result lies
   *   in it, or in other memory that is the caller's in its place
   */
  read(begin: number, end: number, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array>;
}

/** Fails unless the range lies within the source. */
export function checkRange(source: { name: string; size: number }, begin: number, end: number): void {
  invariant(
    Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end && end <= source.size,
    () => `${source.name}: expected a range within its ${source.size} bytes, got ${begin} to ${end}`,
  );
}

/** Bytes already in memory. */
export function fromBytes(bytes: Uint8Array | ArrayBuffer, name = "bytes"): ByteSource {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const source: ByteSource = {
    name,
    size: view.byteLength,
    async read(begin, end, signal) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      return view.subarray(begin, end);
    },
  };
  return source;
}
