/** Bytes that are written together: browsers hand each write to another process. */
const blockBytes = 2 ** 20;
/** Most bytes that wait to be written. */
const mostWaiting = 2 ** 23;

/** Brings bytes to a place that is slow, in blocks and in order, while more of them come; who is far ahead waits. */
export class WriteBehind {
  private open: Uint8Array[] = [];
  private openBytes = 0;
  private waitingBytes = 0;
  private readonly writes: Promise<void>[] = [];
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly write: (block: Uint8Array<ArrayBuffer>) => Promise<void>) {}

  /** @throws what an earlier write failed with */
  async add(bytes: Uint8Array): Promise<void> {
    this.open.push(bytes);
    this.openBytes += bytes.byteLength;
    if (this.openBytes >= blockBytes) this.flush();
    while (this.waitingBytes > mostWaiting) await this.writes[0];
  }

  /** Writes what is left. @throws what a write failed with */
  async end(): Promise<void> {
    if (this.openBytes > 0) this.flush();
    await this.last;
  }

  private flush(): void {
    const block = new Uint8Array(this.openBytes);
    let at = 0;
    for (const bytes of this.open) {
      block.set(bytes, at);
      at += bytes.byteLength;
    }
    this.open = [];
    this.openBytes = 0;
    this.waitingBytes += block.byteLength;
    this.last = this.last.then(async () => {
      await this.write(block);
      this.waitingBytes -= block.byteLength;
      this.writes.shift();
    });
    this.last.catch(() => undefined); // heard of by the next who adds too much, or in the end
    this.writes.push(this.last);
  }
}
