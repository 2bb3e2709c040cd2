import { WebldmError } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import { oneLine } from "./oneLine.js";

/** A Blob or File, read in slices and never as a whole. */
export function fromBlob(blob: Blob, name?: string): ByteSource {
  const source: ByteSource = {
    name: name ?? ("name" in blob ? String(blob.name) : "blob"),
    size: blob.size,
    readsAtOnce: 3, // the browser hands each over through a pipe of its own
    async read(begin, end, signal, into) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      const bytes = await readSlice(blob.slice(begin, end), source.name, signal, into);
      signal?.throwIfAborted();
      return bytes;
    },
  };
  return source;
}

async function readSlice(slice: Blob, name: string, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array> {
  try {
    return into ? await copied(slice, into, signal) : new Uint8Array(await slice.arrayBuffer());
  } catch (error) {
    // Browsers refuse a file that was changed or removed after it was chosen.
    throw new WebldmError(`${name}: could not be read: ${oneLine(error)}`);
  }
}

/** Not by a reader that fills the memory itself: of a blob's stream, Chromium 147 sooner or later forgets to answer one. */
async function copied(slice: Blob, into: ArrayBuffer, signal?: AbortSignal): Promise<Uint8Array> {
  const reader = slice.stream().getReader();
  const bytes = new Uint8Array(into, 0, slice.size);
  let at = 0;
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    bytes.set(chunk.value, at);
    at += chunk.value.byteLength;
    if (signal?.aborted) await reader.cancel(); // the next read tells that it is done
  }
  return bytes.subarray(0, at);
}
