import { WebldmError } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import { fill } from "./fill.js";
import { oneLine } from "./oneLine.js";

/** A Blob or File, read in slices and never as a whole. */
export function fromBlob(blob: Blob, name?: string): ByteSource {
  const source: ByteSource = {
    name: name ?? ("name" in blob ? String(blob.name) : "blob"),
    size: blob.size,
    async read(begin, end, signal, into) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      const bytes = await readSlice(blob.slice(begin, end), source.name, into);
      signal?.throwIfAborted();
      return bytes;
    },
  };
  return source;
}

async function readSlice(slice: Blob, name: string, into?: ArrayBuffer): Promise<Uint8Array> {
  try {
    const filled = into && (await fill(slice.stream(), into));
    return filled ?? new Uint8Array(await slice.arrayBuffer());
  } catch (error) {
    // Browsers refuse a file that was changed or removed after it was chosen.
    throw new WebldmError(`${name}: could not be read: ${oneLine(error)}`);
  }
}
