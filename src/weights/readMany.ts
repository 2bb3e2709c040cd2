import type { ByteSource } from "./byteSource.js";

/** Bytes from `begin` up to but not including `end`. */
export interface ByteRange {
  readonly begin: number;
  readonly end: number;
}

const widestGap = 65536; // reading over so many unwanted bytes costs less than another request
const largestRead = 2 ** 20;
const requestsAtOnce = 8;

/**
 * Many small ranges of a source, in the order asked for. Neighbours come with one request, several requests run at once:
 * a checkpoint has a thousand little headers between its tensors, and each may be a journey over a network away.
 */
export async function readMany(
  source: ByteSource,
  ranges: readonly ByteRange[],
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  const out = new Array<Uint8Array>(ranges.length);
  const order = ranges.map((_, i) => i).sort((a, b) => ranges[a]!.begin - ranges[b]!.begin);
  const reads: { begin: number; end: number; readonly items: number[] }[] = [];
  for (const i of order) {
    const { begin, end } = ranges[i]!;
    const open = reads.at(-1);
    if (open && begin - open.end <= widestGap && end - open.begin <= largestRead) {
      open.end = Math.max(open.end, end);
      open.items.push(i);
    } else reads.push({ begin, end, items: [i] });
  }
  let next = 0;
  const work = async () => {
    for (let read = reads[next++]; read; read = reads[next++]) {
      const bytes = await source.read(read.begin, read.end, signal);
      // Copies, so that a few bytes do not keep the megabyte around them.
      for (const i of read.items) out[i] = bytes.slice(ranges[i]!.begin - read.begin, ranges[i]!.end - read.begin);
    }
  };
  await Promise.all(Array.from({ length: Math.min(requestsAtOnce, reads.length) }, work));
  return out;
}
