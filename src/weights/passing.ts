import { unlessAborted } from "./unlessAborted.js";

/** Most bytes that wait for a reader: as many as the loader asks for at once. */
const windowBytes = 2 ** 23;

interface Piece {
  readonly begin: number;
  readonly bytes: Uint8Array;
}

/**
 * The bytes of a file on their way from its server into the cache, for one who reads them as they pass. Some are held for a
 * reader to come; then the transfer waits. What was read, or lies before what is read, is let go.
 */
export class Passing {
  private pieces: Piece[] = [];
  /** Bytes below are gone. */
  private low = 0;
  /** Bytes from here on are still to come. */
  private high = 0;
  /** A reader waits for the bytes below. */
  private wanted = 0;
  private over = false;
  private readonly waiting = new Set<() => void>();

  /** The next bytes of the file. Resolves when more may come. */
  async push(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (this.over) return;
    this.pieces.push({ begin: this.high, bytes });
    this.high += bytes.byteLength;
    this.forget(this.low);
    this.wake();
    while (!this.over && this.high >= this.wanted && this.high - this.low >= windowBytes) await this.change(signal);
  }

  /** Bytes, when they have come; undefined where they passed by before, or will not pass. Copied to `into` if it is given. */
  async read(begin: number, end: number, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array | undefined> {
    this.wanted = Math.max(this.wanted, end);
    while (begin >= this.low && this.high < end && !this.over) {
      this.forget(begin);
      this.wake();
      await this.change(signal);
    }
    if (begin < this.low || this.over) return undefined;
    const out = into ? new Uint8Array(into, 0, end - begin) : new Uint8Array(end - begin);
    for (const piece of this.pieces) {
      const from = Math.max(begin, piece.begin);
      const to = Math.min(end, piece.begin + piece.bytes.byteLength);
      if (from < to) out.set(piece.bytes.subarray(from - piece.begin, to - piece.begin), from - begin);
    }
    this.forget(end);
    this.wake();
    return out;
  }

  /** From now on nothing is held, and no transfer waits: the readers are done, or the file is. */
  end(): void {
    this.over = true;
    this.pieces = [];
    this.wake();
  }

  private forget(until: number): void {
    this.low = Math.max(this.low, until);
    this.pieces = this.pieces.filter(({ begin, bytes }) => begin + bytes.byteLength > this.low);
  }

  private change(signal?: AbortSignal): Promise<void> {
    return unlessAborted(new Promise((resolve) => this.waiting.add(resolve)), signal);
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}
