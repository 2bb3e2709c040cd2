import { invariant } from "../core/invariant.js";
import type { ByteSource } from "./byteSource.js";
import type { StoredTensor } from "./safetensors.js";

export interface StreamOptions {
  /**
   * Most bytes one piece and one request take. Default 16 MiB; in memory at once can be one more than the source reads at
   * once.
   */
  readonly pieceBytes?: number;
  readonly signal?: AbortSignal;
}

/** Some bytes of a tensor. */
export interface TensorPiece {
  readonly tensor: StoredTensor;
  /** Place of the bytes in the tensor, a multiple of 16. */
  readonly offset: number;
  /** Valid until the next piece is asked for; they begin at a multiple of 8 in their buffer. */
  readonly bytes: Uint8Array;
  /** Whether the tensor is complete with these. */
  readonly last: boolean;
}

const defaultPiece = 2 ** 24;
const alignment = 16;
const widestGap = 65536; // reading over so many unwanted bytes costs less than another request

/** One request, and the parts of tensors it brings. */
interface Read {
  readonly source: ByteSource;
  readonly begin: number;
  end: number;
  readonly parts: { tensor: StoredTensor; begin: number; end: number }[];
}

/**
 * Reads tensors in the order of their files, in pieces, without ever holding a file. Small neighbours come with one
 * request; the next requests, as many as the source reads at once, are under way while the caller works on a piece. Every tensor yields at least one piece, an
 * empty one if it is empty. Fails where a source does; an abort rejects with the reason of the signal.
 */
export async function* streamTensors(
  tensors: Iterable<StoredTensor>,
  options: StreamOptions = {},
): AsyncGenerator<TensorPiece, void, void> {
  const { pieceBytes = defaultPiece, signal } = options;
  invariant(
    Number.isInteger(pieceBytes) && pieceBytes >= alignment,
    `pieceBytes: expected an integer of at least ${alignment}, got ${pieceBytes}`,
  );
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const reads = planReads(inFileOrder(tensors), pieceBytes - (pieceBytes % alignment));
  const memory = new Memory();
  const start = () => {
    const { value: read } = reads.next();
    if (!read) return undefined;
    const into = memory.take(read.end - read.begin);
    const bytes = read.source.read(read.begin, read.end, either, into);
    bytes.catch(() => undefined); // heard of when its turn comes; until then it must not count as unhandled
    return { read, into, bytes };
  };

  const ahead: NonNullable<ReturnType<typeof start>>[] = [];
  let most = 1;
  const fill = () => {
    while (ahead.length < most) {
      const started = start();
      if (!started) return;
      most = started.read.source.readsAtOnce ?? 1;
      ahead.push(started);
    }
  };

  try {
    fill();
    for (let current = ahead.shift(); current; current = ahead.shift()) {
      const bytes = await current.bytes;
      // Not earlier: browsers lock a file in their cache while a request writes to it, and drop and repeat another's.
      fill();
      for (const { tensor, begin, end } of current.read.parts) {
        signal?.throwIfAborted();
        const part = aligned(bytes.subarray(begin - current.read.begin, end - current.read.begin));
        yield { tensor, offset: begin - tensor.begin, bytes: part, last: end === tensor.end };
      }
      memory.giveBack(current.into, bytes);
    }
  } finally {
    stop.abort(); // a caller that leaves early has no use for the requests under way
  }
}

/** Memory that sources fill again and again: of a read that is done, and of those under way. */
class Memory {
  private readonly spare: ArrayBuffer[] = [];

  take(size: number): ArrayBuffer {
    const known = this.spare.pop();
    return known && known.byteLength >= size ? known : new ArrayBuffer(Math.max(1, size));
  }

  /** A source that took the memory left it detached, and its bytes lie in it or in its place; others left it as it was. */
  giveBack(into: ArrayBuffer, { buffer }: Uint8Array): void {
    if (into.byteLength > 0) this.spare.push(into);
    else if (buffer instanceof ArrayBuffer) this.spare.push(buffer);
  }
}

/** Sorted by place within each source, sources in the order in which they first appear. */
function inFileOrder(tensors: Iterable<StoredTensor>): StoredTensor[] {
  const bySource = new Map<ByteSource, StoredTensor[]>();
  for (const tensor of tensors) {
    const known = bySource.get(tensor.source);
    if (known) known.push(tensor);
    else bySource.set(tensor.source, [tensor]);
  }
  return [...bySource.values()].flatMap((group) => group.sort((a, b) => a.begin - b.begin || a.end - b.end));
}

function* planReads(tensors: readonly StoredTensor[], pieceBytes: number): Generator<Read, void, void> {
  let open: Read | undefined;
  for (const tensor of tensors) {
    const { source } = tensor;
    let begin = tensor.begin;
    if (open && !fits(open, tensor, pieceBytes)) {
      yield open;
      open = undefined;
    }
    while (tensor.end - begin > pieceBytes) {
      const end = begin + pieceBytes;
      yield { source, begin, end, parts: [{ tensor, begin, end }] };
      begin = end;
    }
    open ??= { source, begin, end: begin, parts: [] };
    open.parts.push({ tensor, begin, end: tensor.end });
    open.end = Math.max(open.end, tensor.end);
  }
  if (open) yield open;
}

/** A tensor may also begin before the read does, where a larger one that holds it was cut into pieces. */
function fits(read: Read, { source, begin, end }: StoredTensor, pieceBytes: number): boolean {
  const isAfter = begin >= read.begin && begin - read.end <= widestGap;
  return read.source === source && isAfter && end - read.begin <= pieceBytes;
}

/** The bytes where any typed array can view them: as they are if they begin at a multiple of 8, else as a copy. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 ? bytes.slice() : bytes;
}
