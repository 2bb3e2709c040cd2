import { invariant } from "../core/invariant.js";
import { BodySource } from "./bodySource.js";
import { fromBytes } from "./byteSource.js";
import { discard, expectPartial, guarded, plainLength, totalOf } from "./http.js";
import { bodyOf, type OpenedFile, rangeSource } from "./rangeSource.js";

/**
 * Opens a file whose server answered a range in another way than with that range and the size of the whole: with the whole
 * file, with no bytes of an empty one, or without telling scripts the size.
 * @throws WebldmError for answers that give no file
 */
export async function openOther(
  url: string,
  init: RequestInit | undefined,
  response: Response,
  headBytes: number,
): Promise<OpenedFile> {
  const signal = init?.signal ?? null;
  const etag = response.headers.get("etag");
  if (response.status === 200) {
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
  const head = await guarded(url, () => bodyOf(response), signal);
  // Cross-origin servers may not let scripts see Content-Range; Content-Length they always do.
  const size = head.byteLength < headBytes ? head.byteLength : await sizeFromHead(url, init);
  invariant(
    size !== undefined && size >= head.byteLength,
    `${url}: expected the file's size in the answer, got ${response.headers.get("content-range") ?? "none"}`,
  );
  const file = { url, init, etag, size };
  return { file, source: rangeSource(file, head) };
}

async function sizeFromHead(url: string, init: RequestInit | undefined): Promise<number | undefined> {
  const response = await guarded(url, () => fetch(url, { ...init, method: "HEAD" }), init?.signal ?? null);
  return response.ok ? plainLength(response) : undefined;
}
