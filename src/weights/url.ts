import { invariant } from "../core/invariant.js";
import type { ByteSource } from "./byteSource.js";
import { ask, discard, guarded, isPlain, totalOf } from "./http.js";
import { bodyOf, type OpenedFile, rangeSource } from "./rangeSource.js";

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

/** As {@link openUrl}, with what the server said of the file. */
export async function openRemote(url: string, init?: RequestInit): Promise<OpenedFile | undefined> {
  const signal = init?.signal ?? null;
  const response = await guarded(url, () => ask(url, init, { begin: 0, end: headBytes }), signal);
  if (response.status === 404 || isFallbackPage(url, response)) {
    await discard(response);
    return undefined;
  }
  const size = totalOf(response);
  // What else servers answer is known to a module of its own.
  if (response.status !== 206 || size === undefined || !isPlain(response)) {
    return (await import("./otherAnswers.js")).openOther(url, init, response, headBytes);
  }
  const file = { url, init, size, etag: response.headers.get("etag") };
  const head = await bodyOf(response).catch(async () => {
    signal?.throwIfAborted();
    return (await import("./transfer.js")).collect(file, 0, Math.min(headBytes, size));
  });
  return { file, source: rangeSource(file, head) };
}

/** Servers of single-page applications answer with their page where a file is missing; no weight file is a page. */
function isFallbackPage(url: string, response: Response): boolean {
  const type = response.headers.get("content-type") ?? "";
  return response.ok && type.startsWith("text/html") && !/\.html?($|[?#])/.test(url);
}
