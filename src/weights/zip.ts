import { invariant } from "../core/invariant.js";
import type { ByteSource } from "./byteSource.js";
import { quote } from "./oneLine.js";
import { type ByteRange, readMany } from "./readMany.js";

/** A file inside a zip archive, as the archive's directory describes it. */
export interface ZipMember {
  readonly name: string;
  /** Bytes of its content. */
  readonly size: number;
  /** 0: stored as it is. */
  readonly method: number;
  readonly encrypted: boolean;
  /** Place of its local header in the archive. */
  readonly header: number;
}

/** The directory of a zip archive. */
export interface Zip {
  readonly source: ByteSource;
  readonly members: ReadonlyMap<string, ZipMember>;
  /** Where the content ends and the directory begins. */
  readonly directory: number;
}

const endBytes = 22;
const locatorBytes = 20;
const end64Bytes = 56;
const entryBytes = 46;
const localBytes = 30;
const longestComment = 65535;
const largestDirectory = 100_000_000;

const signatures = { end: 0x06054b50, locator: 0x07064b50, end64: 0x06064b50, entry: 0x02014b50, local: 0x04034b50 };

/** Whether a file begins as zip archives do. */
export const looksLikeZip = (head: Uint8Array): boolean =>
  head[0] === 0x50 && head[1] === 0x4b && head[2] === 3 && head[3] === 4;

/**
 * Reads the directory of a zip archive (zip64 too) and nothing of its members.
 * @throws WebldmError that names the file where the end record or the directory breaks the format
 */
export async function openZip(source: ByteSource, signal?: AbortSignal): Promise<Zip> {
  const fail = (why: string): never => invariant(false, `${source.name}: broken zip archive: ${why}`) as never;
  const { begin, bytes, count } = await findDirectory(source, fail, signal);
  if (bytes > largestDirectory) fail(`its directory of ${bytes} bytes is larger than ${largestDirectory}`);
  const raw = await source.read(begin, begin + bytes, signal);
  const view = viewOf(raw);
  const members = new Map<string, ZipMember>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + entryBytes > bytes || view.getUint32(at, true) !== signatures.entry) {
      fail(`entry ${i} of ${count} is missing from its directory`);
    }
    const nameEnd = at + entryBytes + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > bytes) fail(`entry ${i} of ${count} is cut off`);
    const name = text(raw.subarray(at + entryBytes, nameEnd));
    const method = view.getUint16(at + 10, true);
    const wide = wideSizes(view, at, nameEnd, extraEnd);
    if (!wide) return fail(`member ${quote(name)} has sizes beyond what can be read`);
    if (wide.header + localBytes > begin) fail(`member ${quote(name)} begins outside of the content`);
    if (members.has(name)) fail(`member ${quote(name)} occurs twice`);
    members.set(name, { name, method, encrypted: (view.getUint16(at + 8, true) & 1) !== 0, ...wide });
    at = next;
  }
  return { source, members, directory: begin };
}

/**
 * Where the bytes of members lie in the archive; their local headers are read for that.
 * @throws WebldmError where a member is compressed, encrypted, or does not lie within the archive
 */
export async function locate(zip: Zip, members: readonly ZipMember[], signal?: AbortSignal): Promise<ByteRange[]> {
  const { source } = zip;
  for (const { name, method, encrypted } of members) {
    invariant(!encrypted, () => `${source.name}: member ${quote(name)} is encrypted, expected plain bytes`);
    invariant(method === 0, () => `${source.name}: member ${quote(name)} is compressed, expected stored bytes`);
  }
  const headers = members.map(({ header }) => ({ begin: header, end: header + localBytes }));
  const read = await readMany(source, headers, signal);
  return members.map(({ name, header, size }, i) => {
    const view = viewOf(read[i]!);
    invariant(
      view.getUint32(0, true) === signatures.local,
      () => `${source.name}: broken zip archive: member ${quote(name)} does not begin where the directory says`,
    );
    const begin = header + localBytes + view.getUint16(26, true) + view.getUint16(28, true);
    const end = begin + size;
    invariant(
      end <= zip.directory,
      () => `${source.name}: broken zip archive: the ${size} bytes of member ${quote(name)} do not fit into it`,
    );
    return { begin, end };
  });
}

type Fail = (why: string) => never;

async function findDirectory(
  source: ByteSource,
  fail: Fail,
  signal?: AbortSignal,
): Promise<{ begin: number; bytes: number; count: number }> {
  const { size } = source;
  const tailBegin = Math.max(0, size - endBytes - longestComment - locatorBytes);
  const tail = await source.read(tailBegin, size, signal);
  const view = viewOf(tail);
  let at = tail.byteLength - endBytes;
  const isEnd = () =>
    view.getUint32(at, true) === signatures.end && at + endBytes + view.getUint16(at + 20, true) === tail.byteLength;
  while (at >= 0 && !isEnd()) at--;
  if (at < 0) fail("its end record is missing (was the file cut off?)");
  const end = tailBegin + at;

  const isWide = at >= locatorBytes && view.getUint32(at - locatorBytes, true) === signatures.locator;
  if (!isWide) {
    const directory = {
      begin: view.getUint32(at + 16, true),
      bytes: view.getUint32(at + 12, true),
      count: view.getUint16(at + 10, true),
    };
    if (view.getUint16(at + 4, true) !== 0) fail("it is one part of several");
    if (directory.begin + directory.bytes !== end) fail("its directory does not end where its end record begins");
    return directory;
  }
  const end64 = wide(view, at - locatorBytes + 8);
  if (end64 === undefined || end64 + end64Bytes > end - locatorBytes) return fail("its 64-bit end record is missing");
  const record = viewOf(await source.read(end64, end64 + end64Bytes, signal));
  if (record.getUint32(0, true) !== signatures.end64) fail("its 64-bit end record is missing");
  const [count, bytes, begin] = [wide(record, 32), wide(record, 40), wide(record, 48)];
  if (count === undefined || bytes === undefined || begin === undefined || begin + bytes !== end64) {
    return fail("its directory does not end where its 64-bit end record begins");
  }
  return { begin, bytes, count };
}

/** Size and place of a member; where 32 bits do not hold them, from the extra field of zip64. */
function wideSizes(
  view: DataView,
  entry: number,
  extraBegin: number,
  extraEnd: number,
): { size: number; header: number } | undefined {
  const packed = view.getUint32(entry + 20, true);
  const size = view.getUint32(entry + 24, true);
  const header = view.getUint32(entry + 42, true);
  const full = 0xffffffff;
  if (size !== full && header !== full) return { size, header };
  for (let at = extraBegin; at + 4 <= extraEnd; ) {
    const begin = at + 4;
    const end = begin + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1 && end <= extraEnd) {
      // Only what does not fit into the entry is here, in this order.
      let place = begin;
      const next = (value: number) => {
        if (value !== full) return value;
        place += 8;
        return place <= end ? wide(view, place - 8) : undefined;
      };
      const wideSize = next(size);
      next(packed);
      const wideHeader = next(header);
      return wideSize === undefined || wideHeader === undefined ? undefined : { size: wideSize, header: wideHeader };
    }
    at = end;
  }
  return undefined;
}

/** A 64-bit number; undefined beyond 2^53. */
function wide(view: DataView, at: number): number | undefined {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  return Number.isSafeInteger(value) ? value : undefined;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
