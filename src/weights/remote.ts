import { invariant, WebldmError } from "../core/invariant.js";
import { type ByteSource, fromBytes } from "./byteSource.js";
import { type ModelCache, cache as usualCache } from "./cache.js";
import type { FileCache } from "./fileCache.js";
import { type Folder, folderAt } from "./folder.js";
import { hubAddress, usualHost } from "./hub.js";
import { hubModel } from "./hubName.js";
import { oneLine } from "./oneLine.js";
import { Passing } from "./passing.js";
import type { OpenedFile } from "./rangeSource.js";
import type { StoredTensor } from "./safetensors.js";
import { unlessAborted } from "./unlessAborted.js";
import { openRemote } from "./url.js";

export interface RemoteOptions {
  readonly host?: string;
  readonly token?: string;
  readonly cache?: boolean | ModelCache;
}

/** Files that are still to be brought into the cache. */
export interface Fetching {
  /** Whether a source's bytes come from the cache, now or when they have been fetched. */
  isOfCache(source: ByteSource): boolean;
  /** Bytes that are still to come: fewer than the files', where a transfer was begun before. */
  left(): Promise<number>;
  /**
   * Begins to fetch them, several at once, when an earlier run has ended. `onBytes` is told the bytes that came, and the part
   * that they are of. What is read of the files meanwhile is taken from what comes, if it is read in order and file by file;
   * transfers wait for the reader where they are far ahead.
   */
  begin(options: {
    readonly onBytes?: (bytes: number, part: string) => void;
    readonly signal?: AbortSignal;
  }): Promise<Run>;
}

/** Files on their way into the cache. */
export interface Run {
  /** Bytes of these files. */
  readonly total: number;
  /** When all are in the cache. */
  readonly done: Promise<void>;
  /** Transfers need not wait for readers any more. */
  release(): void;
}

/** Transfers that are begun before somebody reads of them; browsers open six connections to a server. */
const filesAtOnce = 4;
/** Files up to this size are read as a whole, and kept while the page goes on with them. */
const smallBytes = 2 ** 22;

/** Files with weights, which are fetched when the model is known to fit; smaller files are fetched when they are opened. */
const weightFile = /\.(safetensors|ckpt|pt|pth|bin)$/i;

/**
 * Files of one load that are asked for by address: from the cache where they are there, else from their server. Files with
 * weights are read over the network (their headers are) until they have been fetched.
 */
export class RemoteFiles implements Fetching {
  /** What pictures of a model that came this way should be accompanied by. */
  readonly notes: string[] = [];
  /** Names of files that are in the cache, or are to be. */
  private readonly ofCache = new Set<string>();
  private readonly missing = new Set<string>();
  private waiting: Weights[] = [];
  private running: Promise<void> | undefined;
  /** The file that was read last. */
  private read: Weights | undefined;
  private readonly storing: Promise<unknown>[] = [];
  private files: Promise<FileCache | undefined> | undefined;

  /** @param signal closes every connection */
  constructor(
    private readonly options: RemoteOptions,
    private readonly signal: AbortSignal,
  ) {}

  /** The folder of a model on the hub. */
  hubFolder(name: string): Folder {
    const model = hubModel(name);
    invariant(model, `${name}: expected a hub name such as owner/name or owner/name@revision`);
    const { host = usualHost, token } = this.options;
    const folder = this.folder(hubAddress(model, host), token ? { headers: { authorization: `Bearer ${token}` } } : {});
    return {
      name,
      open: async (path) => {
        try {
          return await folder.open(path);
        } catch (error) {
          if (!(error instanceof WebldmError) || !/answered 40[13]/.test(error.message)) throw error;
          const why = token ? "does the token open it?" : "it may be gated (then give a token), or there is none";
          throw new WebldmError(`${name}: ${oneLine(error)}: ${why}; for a folder beside the page write ./${name}`);
        }
      },
    };
  }

  folder(address: string, init: RequestInit = {}): Folder {
    return folderAt(absolute(address), address, (file, path) => this.open(file, path, init));
  }

  async file(address: string): Promise<ByteSource | undefined> {
    return this.open(absolute(address), address);
  }

  /** Leaves out files that no tensor of the model comes from. */
  keep(stored: Readonly<Record<string, ReadonlyMap<string, StoredTensor>>>): void {
    const names = new Set(
      Object.values(stored).flatMap((part) => Array.from(part.values(), ({ source }) => source.name)),
    );
    for (const weights of this.waiting) if (!names.has(weights.name)) weights.close();
    this.waiting = this.waiting.filter(({ name }) => names.has(name));
  }

  isOfCache({ name }: ByteSource): boolean {
    return this.ofCache.has(name);
  }

  async left(): Promise<number> {
    const files = await this.cache();
    let sum = 0;
    for (const { opened, size } of this.unkept()) sum += size - ((await files?.begunBytes(opened.file)) ?? 0);
    return sum;
  }

  async begin({ onBytes, signal }: Parameters<Fetching["begin"]>[0]): Promise<Run> {
    // One at a time: a file's bytes pass by once, for one reader.
    while (this.running) await unlessAborted(this.running, signal);
    const stop = new AbortController();
    const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    const waiting = this.unkept();
    this.read = undefined;
    for (const weights of waiting) {
      weights.expect(this.cache(), { onBytes: (bytes) => onBytes?.(bytes, weights.part), signal: either });
    }
    const done = this.fetchAll(waiting, stop);
    const end = () => {
      this.running = undefined;
    };
    this.running = done.then(end, end);
    return {
      total: waiting.reduce((sum, { size }) => sum + size, 0),
      done,
      release: () => {
        for (const weights of waiting) weights.release();
      },
    };
  }

  private async fetchAll(waiting: readonly Weights[], stop: AbortController): Promise<void> {
    let next = 0;
    const work = async () => {
      try {
        for (let weights = waiting[next++]; weights; weights = waiting[next++]) await weights.fill();
      } catch (error) {
        stop.abort(error); // the model cannot be had without it
        throw error;
      }
    };
    await allDone(Array.from({ length: filesAtOnce }, work));
    this.waiting = [];
    await this.settle();
    // Known only now to be of a model that can be loaded: else a mistake in a name would stay.
    const missing = [...this.missing];
    this.missing.clear();
    const files = await this.cache();
    await allDone(missing.map(async (address) => files?.putMissing(address)));
  }

  /** Files that are to be fetched: some may be there of a run that failed. */
  private unkept(): Weights[] {
    return this.waiting.filter(({ isKept }) => !isKept);
  }

  /** Who turns to another file is done with the last: its transfer should not wait, as another page may wait for that. */
  private readonly turnTo = (weights: Weights): void => {
    if (this.read !== weights) this.read?.release();
    this.read = weights;
  };

  /** Waits until the small files that were opened are kept. */
  async settle(): Promise<void> {
    await allDone(this.storing.splice(0));
  }

  private async open(address: string, path: string, init: RequestInit = {}): Promise<ByteSource | undefined> {
    const files = await this.cache();
    if (!files) return (await openRemote(address, { ...init, signal: this.signal }))?.source;
    this.ofCache.add(address);
    const known = await files.open(address);
    if (known !== undefined) return known ?? undefined;
    const header = new AbortController();
    const signal = AbortSignal.any([this.signal, header.signal]);
    const opened = await openRemote(address, { ...init, signal });
    if (!opened) {
      this.missing.add(address);
      return undefined;
    }
    const file = { ...opened.file, init: { ...init, signal: this.signal } };
    if (!weightFile.test(path.replace(/[?#].*$/, ""))) return this.keepSmall(files, { ...opened, file });
    const weights = new Weights({ file, source: opened.source }, path, header, this.turnTo);
    this.waiting.push(weights);
    return weights;
  }

  /** Hands a small file on while it is written to the cache. */
  private async keepSmall(files: FileCache, { file, source }: OpenedFile): Promise<ByteSource> {
    if (source.size > smallBytes) return files.fetch(file, { from: source, signal: this.signal });
    const bytes = fromBytes(await source.read(0, source.size), source.name);
    const storing = files.fetch(file, { from: bytes });
    storing.catch(() => undefined); // `settle` tells
    this.storing.push(storing);
    return bytes;
  }

  private cache(): Promise<FileCache | undefined> {
    this.files ??= this.openCache();
    return this.files;
  }

  private async openCache(): Promise<FileCache | undefined> {
    const { cache = true } = this.options;
    if (cache === false) return undefined;
    try {
      return await (cache === true ? usualCache : cache).files();
    } catch (error) {
      this.notes.push(`the model is not kept: ${oneLine(error)}`);
      return undefined;
    }
  }
}

/** A file with weights that is about to be fetched. */
class Weights implements ByteSource {
  readonly name: string;
  readonly size: number;
  /** The part of the model, as far as the path tells. */
  readonly part: string;
  private passing = new Passing();
  private start: (() => Promise<ByteSource>) | undefined;
  private filling: Promise<ByteSource> | undefined;
  private kept: ByteSource | undefined;

  constructor(
    readonly opened: OpenedFile,
    path: string,
    private readonly header: AbortController,
    private readonly onRead: (weights: Weights) => void,
  ) {
    this.name = opened.source.name;
    this.size = opened.source.size;
    const [first = "", ...rest] = path.split("/");
    this.part = rest.length === 1 ? first : (rest.at(-1) ?? first).replace(/[?#].*$/, "");
  }

  async read(begin: number, end: number, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array> {
    if (!this.start || this.kept) return (this.kept ?? this.opened.source).read(begin, end, signal, into);
    this.onRead(this);
    const filling = this.fill(); // first of those that wait for their turn
    const passed = await this.passing.read(begin, end, signal, into);
    if (passed) return passed;
    this.release(); // read out of order: from the cache then
    return (await unlessAborted(filling, signal)).read(begin, end, signal, into);
  }

  /** Lets go of a connection that a server without ranges still sends on. */
  close(): void {
    this.header.abort();
  }

  /** What passes is read in order; what is kept is not far away. */
  get readsAtOnce(): number {
    return this.kept?.readsAtOnce ?? 1;
  }

  get isKept(): boolean {
    return this.kept !== undefined;
  }

  /** From now on who reads waits for the transfer. */
  expect(
    files: Promise<FileCache | undefined>,
    { onBytes, signal }: { readonly onBytes: (bytes: number) => void; readonly signal: AbortSignal },
  ): void {
    const { opened } = this;
    const passing = new Passing();
    this.passing = passing;
    this.filling = undefined; // of an attempt that failed
    this.start = async () => {
      this.close();
      try {
        const cache = await files;
        invariant(cache, `${this.name}: there is no cache`);
        let left = this.size;
        const advance = (bytes: number) => {
          left -= bytes;
          onBytes(bytes);
        };
        const onChunk = (bytes: Uint8Array) => passing.push(bytes, signal);
        this.kept = await cache.fetch(opened.file, { onBytes: advance, onChunk, signal });
        if (left > 0) advance(left); // another has brought it
        return this.kept;
      } finally {
        passing.end();
      }
    };
  }

  /** Begins the transfer, or waits for the one that has begun. */
  fill(): Promise<ByteSource> {
    this.filling ??= this.start!();
    this.filling.catch(() => undefined); // who waits is told
    return this.filling;
  }

  /** Lets the transfer go on by itself. */
  release(): void {
    this.passing.end();
  }
}

/** Waits for all, and then throws what the first of them failed with. */
async function allDone(tasks: readonly Promise<unknown>[]): Promise<void> {
  const first = Promise.all(tasks);
  first.catch(() => undefined); // thrown below
  await Promise.allSettled(tasks);
  await first;
}

/** An address that means the same on every page, as the cache needs it. */
function absolute(address: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  try {
    return new URL(address, base).href;
  } catch {
    throw new WebldmError(
      `${address}: expected an address such as https://example.com/model/, or a hub name owner/name`,
    );
  }
}
