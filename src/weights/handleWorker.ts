/** Bytes of a file that are to be read: into the given memory, which moves to the worker, or into memory of its own. */
export interface HandleRange {
  readonly handle: FileSystemFileHandle;
  readonly begin: number;
  readonly size: number;
  readonly into: ArrayBuffer | undefined;
}

/** The memory, with the bytes at its begin, or what went wrong: the name of the exception. */
export interface HandleAnswer {
  readonly into?: ArrayBuffer;
  readonly error?: string;
}

/** After so long without reads the worker ends. */
const restMilliseconds = 5000;

/** Begin of the name of a lock on a file: its readers and who removes it take turns (Web Locks), on all pages. */
export const lockPrefix = "webldm file ";

/**
 * What the worker runs; as text, since bundlers and minifiers put names of their modules into functions. Reads take
 * turns. An open file cannot be removed, and in browsers that know no `mode` no other can read it so. But opening one
 * takes about as long as a read: the last stays open for the next read of it, for a moment.
 */
const script = `
let turn = Promise.resolve();
let handle, access, release, since, rest;

const close = async () => {
  try {
    await access?.close();
  } catch {}
  release?.();
  access = release = undefined;
};

const open = async () => {
  await new Promise((resolve, reject) => {
    const hold = () => new Promise((done) => { release = done; resolve(); });
    navigator.locks.request("${lockPrefix}" + handle.name, { mode: "shared" }, hold).catch(reject);
  });
  access = await handle.createSyncAccessHandle({ mode: "read-only" });
  since = performance.now();
};

const serve = async ({ id, next, begin, size, into }) => {
  clearTimeout(rest);
  let error;
  try {
    if (next || performance.now() - since > 200) await close(); // who waits for the lock has it then
    handle = next ?? handle;
    if (!access) await open();
    into ??= new ArrayBuffer(size);
    const view = new Uint8Array(into, 0, size);
    for (let at = 0, read; at < size; at += read) {
      read = access.read(view.subarray(at), { at: begin + at });
      if (!read) throw new DOMException("the file ended", "NotReadableError");
    }
  } catch ({ name }) {
    error = name;
    await close();
  }
  rest = setTimeout(() => { turn = turn.then(close); }, 50);
  postMessage({ id, into, error }, into ? [into] : []);
};

onmessage = ({ data }) => { turn = turn.then(() => serve(data)); };
onmessageerror = () => { throw new Error("a handle did not arrive"); };
`;

/** Reads files of the private file system in a worker, as only workers can read them without a stream in between. */
class HandleWorker {
  private worker: Worker | undefined;
  /** Address of the script, until the worker has answered: some browsers fetch it late. */
  private address: string | undefined;
  /** Set for good where the page may have no such worker, or cannot send handles to it. */
  private isRefused = false;
  /** The file that the worker was told last: each further clone of a handle costs. */
  private told: FileSystemFileHandle | undefined;
  private last = 0;
  private readonly waiting = new Map<number, (answer: HandleAnswer | undefined) => void>();
  private rest: ReturnType<typeof setTimeout> | undefined;

  /** Starts the worker where it is not running, so that it is there when it is needed. */
  start(): Worker | undefined {
    if (this.worker || this.isRefused) return this.worker;
    try {
      this.address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
      const worker = new Worker(this.address, { name: "webldm files" });
      worker.onmessage = ({ data }: MessageEvent<HandleAnswer & { readonly id: number }>) => this.answer(data.id, data);
      // What policies of the page forbid is told here, after the worker was made.
      worker.onerror = (event) => {
        event.preventDefault();
        if (worker === this.worker) this.refuse();
      };
      this.worker = worker;
      this.endLater();
    } catch {
      this.refuse();
    }
    return this.worker;
  }

  /** @returns undefined where there can be no worker; `into` may be lost then */
  read({ handle, begin, size, into }: HandleRange): Promise<HandleAnswer | undefined> {
    const worker = this.start();
    if (!worker) return Promise.resolve(undefined);
    clearTimeout(this.rest);
    const id = ++this.last;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      const next = handle === this.told ? undefined : handle;
      try {
        worker.postMessage({ id, next, begin, size, into }, into ? [into] : []);
        this.told = handle;
      } catch {
        this.refuse(); // browsers that cannot clone handles
      }
    });
  }

  private answer(id: number, answer: HandleAnswer): void {
    this.revoke();
    this.waiting.get(id)?.(answer);
    this.waiting.delete(id);
    if (this.waiting.size === 0) this.endLater();
  }

  private refuse(): void {
    this.isRefused = true;
    this.end();
    for (const resolve of this.waiting.values()) resolve(undefined);
    this.waiting.clear();
  }

  private endLater(): void {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.end(), restMilliseconds);
  }

  private end(): void {
    clearTimeout(this.rest);
    this.revoke();
    this.worker?.terminate();
    this.worker = undefined;
    this.told = undefined;
  }

  private revoke(): void {
    if (this.address !== undefined) URL.revokeObjectURL(this.address);
    this.address = undefined;
  }
}

/** One for all files of the page. */
export const handleWorker = new HandleWorker();
