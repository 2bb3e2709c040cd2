import { WebldmError } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import { oneLine } from "./oneLine.js";

/** A Blob or File, read in slices and never as a whole. */
export function fromBlob(blob: Blob, name?: string): ByteSource {
  const source: ByteSource = {
    name: name ?? ("name" in blob ? String(blob.name) : "blob"),
    size: blob.size,
    async read(begin, end, signal) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      const bytes = await readSlice(blob, begin, end, source.name);
      signal?.throwIfAborted();
      return bytes;
    },
  };
  return source;
}

async function readSlice(blob: Blob, begin: number, end: number, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.slice(begin, end).arrayBuffer());
  } catch (error) {
    // Browsers refuse a file that was changed or removed after it was chosen.
    throw new WebldmError(`${name}: could not be read: ${oneLine(error)}`);
  }
}
