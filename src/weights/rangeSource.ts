import { type ByteSource, checkRange } from "./byteSource.js";
import { fill } from "./fill.js";
import { ask, discard, isPlain, isSameFile, type RemoteFile, signalOf } from "./http.js";

/** A file behind HTTP, and what reads it. */
export interface OpenedFile {
  readonly file: RemoteFile;
  readonly source: ByteSource;
}

/** A file whose server knows ranges, and whose first bytes are here. */
export function rangeSource(file: RemoteFile & { readonly size: number }, head: Uint8Array): ByteSource {
  const { url, init, size } = file;
  const source: ByteSource = {
    name: url,
    size,
    async read(begin, end, signal, into) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      if (end <= head.byteLength) return head.subarray(begin, end);
      if (begin === end) return new Uint8Array(0);
      const response = await ask(url, init, { begin, end, signal }).catch(() => undefined);
      if (response?.status === 206 && isPlain(response) && isSameFile(file, response)) {
        const bytes = await bodyOf(response, into).catch(() => undefined);
        if (bytes?.byteLength === end - begin) return bytes;
      } else if (response) await discard(response);
      signalOf(init, signal)?.throwIfAborted();
      // What went wrong, and whether to try again, is known to a module of its own.
      return (await import("./transfer.js")).collect(file, begin, end, signal);
    },
  };
  return source;
}

export async function bodyOf(response: Response, into?: ArrayBuffer): Promise<Uint8Array> {
  const filling = into && response.body ? fill(response.body, into) : undefined;
  return filling ?? new Uint8Array(await response.arrayBuffer());
}
