import { WebldmError } from "../core/invariant.js";

/**
 * A body's bytes, in memory that is used again for the next: piece after piece in new memory is hundreds of megabytes of
 * garbage before a browser collects any. Undefined where streams cannot fill memory that is given;
 * nothing was taken from the body then.
 * @param into is detached: the result lies in the memory under a new name. At least as long as the body
 */
export function fill(body: ReadableStream<Uint8Array>, into: ArrayBuffer): Promise<Uint8Array> | undefined {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
  return readAll(reader, into);
}

async function readAll(reader: ReadableStreamBYOBReader, into: ArrayBuffer): Promise<Uint8Array> {
  let memory: ArrayBufferLike = into;
  let filled = 0;
  while (filled < memory.byteLength) {
    const read: ReadableStreamReadResult<Uint8Array> = await reader.read(new Uint8Array(memory, filled));
    if (read.value) {
      memory = read.value.buffer;
      filled += read.value.byteLength;
    }
    if (read.done) return new Uint8Array(memory, 0, filled);
  }
  const { done } = await reader.read(new Uint8Array(1));
  if (done) return new Uint8Array(memory);
  await reader.cancel();
  throw new WebldmError(`more came than ${filled} bytes`);
}
