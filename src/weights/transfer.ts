import { WebldmError } from "../core/invariant.js";
import { ask, causeOf, discard, expectPartial, isPlain, isSameFile, type RemoteFile, signalOf } from "./http.js";

/** Milliseconds before each further try where a transfer brings no byte; then it is given up. */
const waits = [200, 500, 1000, 2000];

/** Answers of servers that may do better soon. */
const passing = new Set([408, 429, 500, 502, 503, 504]);

export interface ChunkOptions {
  readonly signal?: AbortSignal | undefined;
  /** An answer with the whole file that is there already; for transfers from byte 0 on. */
  readonly first?: Response;
}

/**
 * A file's bytes from `begin` up to `end` (to its last where undefined), in order, each once. A transfer that breaks off
 * goes on at the byte that it reached; from a server without ranges it begins anew, and what is known already is skipped.
 * One who leaves early lets go of the connection.
 * @throws WebldmError that names the address, and the byte, where it cannot go on; an abort rejects with its reason
 */
export async function* chunksOf(
  file: RemoteFile,
  begin: number,
  end: number | undefined,
  { signal, first }: ChunkOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { url, init } = file;
  const stop = signalOf(init, signal);
  // Ranges of a compressed body would be of its compressed bytes.
  const compressed = first !== undefined && !isPlain(first);
  let at = begin;
  let open: Response | undefined = first;
  let failures = 0;
  while (end === undefined || at < end) {
    let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
    try {
      stop?.throwIfAborted();
      const response = open ?? (await answer(file, compressed ? undefined : at, end, signal));
      let skip = response.status === 200 && response !== first ? at : 0;
      open = undefined;
      const from = at;
      reader = response.body?.getReader();
      for (;;) {
        const chunk = (await reader?.read())?.value;
        if (!chunk) break;
        const fresh = chunk.subarray(Math.min(skip, chunk.byteLength), skip + (end ?? Number.POSITIVE_INFINITY) - at);
        skip = Math.max(0, skip - chunk.byteLength);
        if (fresh.byteLength === 0) continue;
        failures = 0;
        at += fresh.byteLength;
        yield fresh;
        if (at === end) return;
      }
      if (end === undefined) return;
      // Servers may cut ranges short, and say so. An answer that ends early without a word is no part of the file.
      if (response.status === 206 && !response.headers.has("content-range")) {
        throw new WebldmError(`${url}: expected ${end - from} bytes from byte ${from} on, got ${at - from}`);
      }
      if (at === from) throw new Error(`the server sent no more, expected ${end} bytes`);
    } catch (error) {
      stop?.throwIfAborted();
      if (error instanceof WebldmError) throw error;
      const wait = waits[failures++];
      if (wait === undefined) {
        throw new WebldmError(
          `${url}: the transfer broke off after ${at} bytes (${failures} tries): ${causeOf(error)}`,
        );
      }
      await pause(wait, stop);
    } finally {
      await reader?.cancel().catch(() => undefined);
    }
  }
}

/** The same bytes in one piece. */
export async function collect(file: RemoteFile, begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
  const out = new Uint8Array(end - begin);
  let at = 0;
  for await (const chunk of chunksOf(file, begin, end, { signal })) {
    out.set(chunk, at);
    at += chunk.byteLength;
  }
  return out;
}

/** An answer with the file from a byte on, or with all of it. */
async function answer(
  file: RemoteFile,
  begin: number | undefined,
  end: number | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const { url, init } = file;
  const range = { ...(begin === undefined ? {} : { begin }), ...(end === undefined ? {} : { end }) };
  const response = await ask(url, init, { ...range, signal });
  const { status } = response;
  if (passing.has(status)) {
    await discard(response);
    throw new Error(`the server answered ${status}`);
  }
  if (status !== 200) await expectPartial(url, response);
  const [, from] = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "") ?? [];
  if (!isSameFile(file, response) || (from !== undefined && Number(from) !== begin)) {
    await discard(response);
    throw new WebldmError(`${url}: the file changed while it was being read`);
  }
  return response;
}

function pause(milliseconds: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
