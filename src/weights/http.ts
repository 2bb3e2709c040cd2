import { WebldmError } from "../core/invariant.js";
import { oneLine } from "./oneLine.js";

/** A file behind HTTP, and what its server said about it on opening. */
export interface RemoteFile {
  readonly url: string;
  /** Headers and a signal for every request. */
  readonly init: RequestInit | undefined;
  /** Undefined where the server did not tell. */
  readonly size: number | undefined;
  readonly etag: string | null;
}

/** Asks for bytes from `begin` up to but not including `end`, or the last; everything where `begin` is undefined. */
export function ask(
  url: string,
  init: RequestInit | undefined,
  { begin, end, signal }: { readonly begin?: number; readonly end?: number; readonly signal?: AbortSignal | undefined },
): Promise<Response> {
  const headers = new Headers(init?.headers);
  if (begin !== undefined) headers.set("range", `bytes=${begin}-${end === undefined ? "" : end - 1}`);
  return fetch(url, { ...init, method: "GET", headers, signal: signalOf(init, signal) });
}

/** The signal of a request: that of all requests, that of this one, or both. */
export function signalOf(init: RequestInit | undefined, signal: AbortSignal | undefined): AbortSignal | null {
  const all = init?.signal ?? null;
  return all && signal ? AbortSignal.any([all, signal]) : (signal ?? all);
}

/** Runs a step of a transfer and turns its failure into our error; an abort stays what it is. */
export async function guarded<T>(url: string, step: () => Promise<T>, signal: AbortSignal | null): Promise<T> {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    throw new WebldmError(`${url}: the transfer failed: ${causeOf(error)}`);
  }
}

/** A failure of the network in one line: what is thrown mostly says nothing, its cause does. */
export const causeOf = (error: unknown): string =>
  `${oneLine(error)}${error instanceof Error && error.cause ? `: ${oneLine(error.cause)}` : ""}`;

/** Refuses an answer that is no range of plain bytes. */
export async function expectPartial(url: string, response: Response): Promise<void> {
  if (response.status === 206 && isPlain(response)) return;
  await discard(response);
  const { status } = response;
  throw new WebldmError(
    status === 206
      ? `${url}: the server compresses ranges, expected plain bytes`
      : `${url}: the server answered ${status}, expected 200 or 206`,
  );
}

/** Whether an answer is of the version of the file that was opened, as far as it tells. */
export function isSameFile({ etag, size }: RemoteFile, response: Response): boolean {
  const now = response.headers.get("etag");
  const total = response.status === 206 ? totalOf(response) : plainLength(response);
  return !(etag && now && etag !== now) && (total ?? size) === (size ?? total);
}

/** Lets go of a connection whose answer is of no interest. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}

/** Whether a body is the bytes of the file themselves. */
export const isPlain = (response: Response): boolean =>
  (response.headers.get("content-encoding") ?? "identity") === "identity";

/** Content-Length, unless it counts compressed bytes. */
export function plainLength(response: Response): number | undefined {
  const length = response.headers.get("content-length");
  return length !== null && isPlain(response) && /^\d+$/.test(length) ? Number(length) : undefined;
}

/** The size of the whole file in `Content-Range: bytes 0-9/100`. */
export function totalOf(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1];
  return total === undefined ? undefined : Number(total);
}
