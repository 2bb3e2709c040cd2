import { invariant } from "../core/invariant.js";
import { type ByteSource, checkRange, fromBytes } from "./byteSource.js";
import { fill } from "./fill.js";
import {
  ask,
  discard,
  expectPartial,
  guarded,
  isPlain,
  isSameFile,
  plainLength,
  type RemoteFile,
  signalOf,
  totalOf,
} from "./http.js";

/** Bytes asked for on opening: enough for a configuration or most headers, so those take one request. */
const headBytes = 65536;

/**
 * A file behind HTTP. It is read in ranges; from a server that knows none it is taken in once, as far as needed. Transfers
 * that break off are taken up where they ended, a few times. Fails, naming the address and status, where it cannot be had.
 * @param init headers for every request; a signal that, once aborted, closes every connection
 */
export async function fromUrl(url: string, init?: RequestInit): Promise<ByteSource> {
  const source = await openUrl(url, init);
  invariant(source, `${url}: the server answered 404, expected 200 or 206`);
  return source;
}

/** As {@link fromUrl}, but undefined where the server answers 404. */
export async function openUrl(url: string, init?: RequestInit): Promise<ByteSource | undefined> {
  return (await openRemote(url, init))?.source;
}

/** A file behind HTTP, and what reads it. */
export interface OpenedFile {
  readonly file: RemoteFile;
  readonly source: ByteSource;
}

/** As {@link openUrl}, with what the server said of the file. */
export async function openRemote(url: string, init?: RequestInit): Promise<OpenedFile | undefined> {
  const signal = init?.signal ?? null;
  const response = await guarded(url, () => ask(url, init, { begin: 0, end: headBytes }), signal);
  if (response.status === 404 || isFallbackPage(url, response)) {
    await discard(response);
    return undefined;
  }
  const etag = response.headers.get("etag");
  if (response.status === 200) {
    const { BodySource } = await import("./bodySource.js");
    const file = { url, init, etag, size: plainLength(response) };
    return { file, source: await BodySource.of(file, response) };
  }
  if (response.status === 416) {
    // No byte at all satisfies a range of an empty file.
    await discard(response);
    const size = totalOf(response) ?? (await sizeFromHead(url, init));
    invariant(size === 0, `${url}: the server answered 416, expected 200 or 206`);
    return { file: { url, init, etag, size }, source: fromBytes(new Uint8Array(0), url) };
  }
  await expectPartial(url, response);
  const total = totalOf(response);
  const head = await guarded(url, () => bodyOf(response), signal).catch(async (error) => {
    signal?.throwIfAborted();
    if (total === undefined) throw error;
    return (await import("./transfer.js")).collect({ url, init, etag, size: total }, 0, Math.min(headBytes, total));
  });
  // Cross-origin servers may not let scripts see Content-Range; Content-Length they always do.
  const size = total ?? (head.byteLength < headBytes ? head.byteLength : await sizeFromHead(url, init));
  invariant(
    size !== undefined && size >= head.byteLength,
    `${url}: expected the file's size in the answer, got ${response.headers.get("content-range") ?? "none"}`,
  );
  const file = { url, init, etag, size };
  return { file, source: rangeSource(file, head) };
}

function rangeSource(file: RemoteFile & { readonly size: number }, head: Uint8Array): ByteSource {
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

async function sizeFromHead(url: string, init: RequestInit | undefined): Promise<number | undefined> {
  const response = await guarded(url, () => fetch(url, { ...init, method: "HEAD" }), init?.signal ?? null);
  return response.ok ? plainLength(response) : undefined;
}

async function bodyOf(response: Response, into?: ArrayBuffer): Promise<Uint8Array> {
  const filling = into && response.body ? fill(response.body, into) : undefined;
  return filling ?? new Uint8Array(await response.arrayBuffer());
}

/** Servers of single-page applications answer with their page where a file is missing; no weight file is a page. */
function isFallbackPage(url: string, response: Response): boolean {
  const type = response.headers.get("content-type") ?? "";
  return response.ok && type.startsWith("text/html") && !/\.html?($|[?#])/.test(url);
}
