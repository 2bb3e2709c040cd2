import { invariant } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import type { StoredTensor } from "./safetensors.js";
import { storedBits } from "./storedType.js";

/** Rows of a tensor's first axis: how many, from which on. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

/**
 * Rows of a stored tensor as a tensor of their own, under another name: nothing is read. Neighbouring rows stay a range of
 * the same file; others become a source that puts its pieces together when it is read.
 */
export function rowsOf(tensor: StoredTensor, name: string, rows: readonly Rows[]): StoredTensor {
  const [total = 1, ...rest] = tensor.shape;
  const bits = sizeOf(rest) * storedBits[tensor.dtype];
  invariant(bits % 8 === 0, () => `${tensor.name}: its rows are not whole bytes`);
  const rowBytes = bits / 8;
  const ranges: { begin: number; end: number }[] = [];
  for (const { first, count } of rows) {
    invariant(
      first >= 0 && count > 0 && first + count <= total,
      () => `${tensor.name}: rows ${first} to ${first + count} of ${total}`,
    );
    const begin = tensor.begin + first * rowBytes;
    const end = begin + count * rowBytes;
    const last = ranges.at(-1);
    if (last?.end === begin) last.end = end;
    else ranges.push({ begin, end });
  }
  const shape = [rows.reduce((sum, { count }) => sum + count, 0), ...rest];
  const [only, ...more] = ranges;
  invariant(only, () => `${tensor.name}: expected at least one row`);
  if (more.length === 0) return { ...tensor, name, shape, ...only };
  const source = joined(tensor.source, ranges);
  return { ...tensor, name, shape, source, begin: 0, end: source.size };
}

/** The same bytes under another name, and another shape of as many elements where one is given. */
export function renamed(tensor: StoredTensor, name: string, shape: readonly number[] = tensor.shape): StoredTensor {
  invariant(
    sizeOf(shape) === sizeOf(tensor.shape),
    () => `${tensor.name}: [${tensor.shape.join(", ")}] does not hold as many elements as [${shape.join(", ")}]`,
  );
  return { ...tensor, name, shape };
}

/** Ranges of a source, one after the other. */
function joined(source: ByteSource, ranges: readonly { readonly begin: number; readonly end: number }[]): ByteSource {
  const size = ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const self: ByteSource = {
    name: source.name,
    size,
    async read(begin, end, signal) {
      checkRange(self, begin, end);
      const bytes = new Uint8Array(end - begin);
      const reads: Promise<void>[] = [];
      let at = 0; // where the range begins in the joined bytes
      for (const range of ranges) {
        const length = range.end - range.begin;
        const from = Math.max(begin, at);
        const to = Math.min(end, at + length);
        if (from < to) {
          const start = range.begin - at;
          reads.push(
            source.read(start + from, start + to, signal).then((part) => {
              bytes.set(part, from - begin);
            }),
          );
        }
        at += length;
      }
      await Promise.all(reads);
      return bytes;
    },
  };
  return self;
}
