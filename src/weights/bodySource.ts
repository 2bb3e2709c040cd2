import { invariant, WebldmError } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import { oneLine } from "./oneLine.js";

const partBytes = 2 ** 23;

/**
 * The body of a response that came whole because the server knows no ranges. It is taken in only as far as it has been
 * asked for and kept in blobs, which browsers move to disk, so that it is transferred once and read in any order.
 */
export class BodySource implements ByteSource {
  private received = 0;
  private readonly parts: Blob[] = [];
  private open: Uint8Array<ArrayBuffer>[] = [];
  private openBytes = 0;
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly name: string,
    /** Infinite until the body has ended, where the server did not say. */
    public size: number,
    private readonly reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined,
  ) {}

  /** @param size bytes of the body if the server said so; otherwise the whole body is taken in now to find out */
  static async of(name: string, response: Response, size: number | undefined): Promise<BodySource> {
    const source = new BodySource(name, size ?? Number.POSITIVE_INFINITY, response.body?.getReader());
    if (size === undefined) {
      await source.receive(Number.POSITIVE_INFINITY);
      source.size = source.received;
    }
    return source;
  }

  async read(begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, begin, end);
    signal?.throwIfAborted();
    // One at a time: there is one stream. A failed read must not keep those behind it from their turn.
    const turn = this.queue.then(() => this.receive(end, signal));
    this.queue = turn.catch(() => undefined);
    await turn;
    signal?.throwIfAborted();
    invariant(this.received >= end, `${this.name}: ended after ${this.received} of ${this.size} bytes`);
    const bytes = await new Blob([...this.parts, ...this.open]).slice(begin, end).arrayBuffer();
    return new Uint8Array(bytes);
  }

  /** Takes in the body until `end` bytes are there or it has ended. */
  private async receive(end: number, signal?: AbortSignal): Promise<void> {
    while (this.received < end) {
      signal?.throwIfAborted();
      const chunk = await this.next();
      if (!chunk) return;
      this.received += chunk.byteLength;
      this.openBytes += chunk.byteLength;
      this.open.push(chunk);
      if (this.openBytes >= partBytes) this.closePart();
    }
    this.closePart();
  }

  private async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      return (await this.reader?.read())?.value;
    } catch (error) {
      throw new WebldmError(`${this.name}: the transfer broke off after ${this.received} bytes: ${oneLine(error)}`);
    }
  }

  private closePart(): void {
    if (this.openBytes === 0) return;
    this.parts.push(new Blob(this.open));
    this.open = [];
    this.openBytes = 0;
  }
}
