import { invariant } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import type { RemoteFile } from "./http.js";
import { chunksOf } from "./transfer.js";
import { unlessAborted } from "./unlessAborted.js";

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
  private ended = false;
  private arriving: Promise<void> | undefined;

  private constructor(
    readonly name: string,
    /** Infinite until the body has ended, where the server did not say. */
    public size: number,
    private readonly chunks: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  ) {}

  /** Where the server did not tell the size, the whole body is taken in now to find out. */
  static async of(file: RemoteFile, response: Response): Promise<BodySource> {
    const { url, size } = file;
    const chunks = chunksOf(file, 0, size, { first: response });
    const source = new BodySource(url, size ?? Number.POSITIVE_INFINITY, chunks);
    if (size === undefined) {
      await source.receive(Number.POSITIVE_INFINITY);
      source.size = source.received;
    }
    return source;
  }

  async read(begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, begin, end);
    signal?.throwIfAborted();
    await this.receive(end, signal);
    signal?.throwIfAborted();
    invariant(this.received >= end, `${this.name}: ended after ${this.received} of ${this.size} bytes`);
    const bytes = await new Blob([...this.parts, ...this.open]).slice(begin, end).arrayBuffer();
    return new Uint8Array(bytes);
  }

  /** Takes in the body until `end` bytes are there or it has ended. Several reads may wait for the same chunk. */
  private async receive(end: number, signal?: AbortSignal): Promise<void> {
    while (this.received < end && !this.ended) {
      this.arriving ??= this.takeChunk().finally(() => {
        this.arriving = undefined;
      });
      await unlessAborted(this.arriving, signal);
    }
    this.closePart();
  }

  private async takeChunk(): Promise<void> {
    const chunk = (await this.chunks.next()).value;
    if (!chunk) {
      this.ended = true;
      return;
    }
    this.received += chunk.byteLength;
    this.openBytes += chunk.byteLength;
    this.open.push(chunk);
    if (this.openBytes >= partBytes) this.closePart();
  }

  private closePart(): void {
    if (this.openBytes === 0) return;
    this.parts.push(new Blob(this.open));
    this.open = [];
    this.openBytes = 0;
  }
}
