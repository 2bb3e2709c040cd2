import { invariant, WebldmError } from "../core/invariant.js";
import { BodySource } from "./bodySource.js";
import { type ByteSource, checkRange, fromBytes } from "./byteSource.js";
import { fill } from "./fill.js";
import { oneLine } from "./oneLine.js";

/** Bytes asked for on opening: enough for a configuration or most headers, so those take one request. */
const headBytes = 65536;

/**
 * A file behind HTTP. It is read in ranges; from a server that knows none it is taken in once, as far as needed.
 * Fails, naming the address and status, where it cannot be had.
 */
export async function fromUrl(url: string, init?: RequestInit): Promise<ByteSource> {
  const source = await openUrl(url, init);
  invariant(source, `${url}: the server answered 404, expected 200 or 206`);
  return source;
}

/** As {@link fromUrl}, but undefined where the server answers 404. */
export async function openUrl(url: string, init?: RequestInit): Promise<ByteSource | undefined> {
  const response = await request(url, init, `bytes=0-${headBytes - 1}`);
  if (response.status === 404 || isFallbackPage(url, response)) {
    await discard(response);
    return undefined;
  }
  if (response.status === 200) return BodySource.of(url, response, plainLength(response));
  if (response.status === 416) {
    // No byte at all satisfies a range of an empty file.
    await discard(response);
    const size = totalOf(response) ?? (await sizeFromHead(url, init));
    invariant(size === 0, `${url}: the server answered 416, expected 200 or 206`);
    return fromBytes(new Uint8Array(0), url);
  }
  await expectPartial(url, response);
  const head = await bodyOf(url, response);
  // Cross-origin servers may not let scripts see Content-Range; Content-Length they always do.
  const size = totalOf(response) ?? (head.byteLength < headBytes ? head.byteLength : await sizeFromHead(url, init));
  invariant(
    size !== undefined && size >= head.byteLength,
    `${url}: expected the file's size in the answer, got ${response.headers.get("content-range") ?? "none"}`,
  );
  return rangeSource(url, size, head, response.headers.get("etag"), init);
}

function rangeSource(url: string, size: number, head: Uint8Array, etag: string | null, init?: RequestInit): ByteSource {
  const source: ByteSource = {
    name: url,
    size,
    async read(begin, end, signal, into) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      if (end <= head.byteLength) return head.subarray(begin, end);
      if (begin === end) return new Uint8Array(0);
      const response = await request(url, init, `bytes=${begin}-${end - 1}`, signal);
      if (response.status === 200) return readThrough(url, response, begin, end, signal);
      await expectPartial(url, response);
      const now = response.headers.get("etag");
      if ((etag && now && etag !== now) || (totalOf(response) ?? size) !== size) {
        await discard(response);
        throw new WebldmError(`${url}: the file changed while it was being read`);
      }
      const bytes = await bodyOf(url, response, signal, into);
      invariant(
        bytes.byteLength === end - begin,
        `${url}: expected ${end - begin} bytes from byte ${begin} on, got ${bytes.byteLength}`,
      );
      return bytes;
    },
  };
  return source;
}

/** A server that kept to ranges at first but now sends everything: takes the wanted part and drops the rest. */
async function readThrough(
  url: string,
  response: Response,
  begin: number,
  end: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const out = new Uint8Array(end - begin);
  const reader = response.body?.getReader();
  let at = 0;
  while (at < end) {
    const chunk = (await guarded(url, async () => reader?.read(), signal))?.value;
    invariant(chunk, `${url}: ended after ${at} bytes, expected at least ${end}`);
    const from = Math.max(begin - at, 0);
    const to = Math.min(end - at, chunk.byteLength);
    if (from < to) out.set(chunk.subarray(from, to), at + from - begin);
    at += chunk.byteLength;
  }
  await reader?.cancel().catch(() => undefined);
  return out;
}

function request(url: string, init: RequestInit | undefined, range: string, signal?: AbortSignal): Promise<Response> {
  const headers = new Headers(init?.headers);
  headers.set("range", range);
  const signals = [init?.signal, signal].filter((s) => s !== undefined && s !== null);
  const all = signals.length > 1 ? AbortSignal.any(signals) : signals[0];
  return guarded(url, () => fetch(url, { ...init, method: "GET", headers, signal: all ?? null }), all);
}

async function sizeFromHead(url: string, init: RequestInit | undefined): Promise<number | undefined> {
  const response = await guarded(url, () => fetch(url, { ...init, method: "HEAD" }), init?.signal ?? undefined);
  return response.ok ? plainLength(response) : undefined;
}

async function bodyOf(url: string, response: Response, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array> {
  const whole = async () => new Uint8Array(await response.arrayBuffer());
  const filling = () => (into && response.body ? fill(response.body, into) : undefined);
  return guarded(url, () => filling() ?? whole(), signal);
}

/** Runs a step of a transfer and turns its failure into our error; an abort stays what it is. */
async function guarded<T>(url: string, step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    const cause = error instanceof Error && error.cause ? `: ${oneLine(error.cause)}` : "";
    throw new WebldmError(`${url}: the transfer failed: ${oneLine(error)}${cause}`);
  }
}

async function expectPartial(url: string, response: Response): Promise<void> {
  if (response.status === 206 && (response.headers.get("content-encoding") ?? "identity") === "identity") return;
  await discard(response);
  const { status } = response;
  throw new WebldmError(
    status === 206
      ? `${url}: the server compresses ranges, expected plain bytes`
      : `${url}: the server answered ${status}, expected 200 or 206`,
  );
}

/** Lets go of a connection whose answer is of no interest. */
async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

/** Servers of single-page applications answer with their page where a file is missing; no weight file is a page. */
function isFallbackPage(url: string, response: Response): boolean {
  const type = response.headers.get("content-type") ?? "";
  return response.ok && type.startsWith("text/html") && !/\.html?($|[?#])/.test(url);
}

/** Content-Length, unless it counts compressed bytes. */
function plainLength(response: Response): number | undefined {
  const length = response.headers.get("content-length");
  if (length === null || (response.headers.get("content-encoding") ?? "identity") !== "identity") return undefined;
  return /^\d+$/.test(length) ? Number(length) : undefined;
}

/** The size of the whole file in `Content-Range: bytes 0-9/100`. */
function totalOf(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}
