import { fromBlob } from "./blob.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import { handleWorker } from "./handleWorker.js";
import { unlessAborted } from "./unlessAborted.js";

/** Shorter ranges, headers for example, are read of the blob, which locks no file. */
const leastBytes = 2 ** 18;

/** What says nothing of other reads: the file is locked, gone, or shorter than it was, or there is no memory. */
const passing = new Set(["NoModificationAllowedError", "NotFoundError", "NotReadableError", "RangeError"]);

/** Makes a source of a file of one folder, as it is now. */
export type HandleReader = (handle: FileSystemFileHandle, file: File, name: string) => ByteSource;

/**
 * Reads a folder's files in a worker, and as blobs what the worker cannot read. Where it can read none of them, as in a
 * folder that the person picked, it is not asked again.
 */
export function handleReader(): HandleReader {
  let isRefused = false;
  return (handle, file, name) => {
    const blob = fromBlob(file, name);

    const read = async (begin: number, end: number, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array> => {
      const size = end - begin;
      const answer = await handleWorker.read({ handle, begin, size, into });
      if (answer?.into && answer.error === undefined) return new Uint8Array(answer.into, 0, size);
      if (answer?.error !== undefined && !passing.has(answer.error)) isRefused = true;
      // Into new memory: only so do browsers tell why a blob cannot be read, not of a stream that breaks off.
      return blob.read(begin, end, signal);
    };

    return {
      name,
      size: file.size,
      readsAtOnce: 3, // one is read, one waits, one is on its way
      async read(begin, end, signal, into) {
        if (isRefused || file.size < leastBytes) return blob.read(begin, end, signal, into);
        checkRange(blob, begin, end);
        signal?.throwIfAborted();
        const worker = handleWorker.start(); // also for a header, which is read first: it starts meanwhile
        if (!worker || end - begin < leastBytes) return blob.read(begin, end, signal, into);
        return unlessAborted(read(begin, end, signal, into), signal);
      },
    };
  };
}
