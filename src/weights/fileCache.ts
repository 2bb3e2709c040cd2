import { invariant, WebldmError } from "../core/invariant.js";
import { alone } from "./alone.js";
import { type ByteSource, checkRange, fromBytes } from "./byteSource.js";
import type { FileSink, FileStore } from "./fileStore.js";
import type { RemoteFile } from "./http.js";
import { hubModel } from "./hubName.js";
import { codeOf, nodeStore, usualFolder } from "./nodeStore.js";
import { oneLine } from "./oneLine.js";
import { handleStore } from "./opfsStore.js";
import { sha256 } from "./sha256.js";
import { chunksOf } from "./transfer.js";
import { unlessAborted } from "./unlessAborted.js";
import { WriteBehind } from "./writeBehind.js";

/** Bytes after which a part is closed: in browsers, what is not closed when the page ends is lost. */
const partBytes = 2 ** 26;
const blockBytes = 2 ** 22;

/** A file that was fetched and is kept. */
export interface CacheEntry {
  /** Where it was fetched from. */
  readonly address: string;
  /** Size of the file. */
  readonly bytes: number;
  /** Of its content as it came, in hexadecimal. */
  readonly sha256: string;
  /** When it came. */
  readonly when: Date;
}

/** A stretch of a file, in a file of the store that begins with it. */
interface Part {
  readonly file: string;
  readonly begin: number;
  readonly end: number;
}

/** KEY.json: a file that is complete, or that its server said it does not have. */
interface Stored {
  readonly address: string;
  readonly when: string;
  readonly missing?: true;
  readonly bytes: number;
  readonly sha256: string;
  readonly parts: readonly Part[];
}

/** KEY.part.json: whose parts these are, while the file is under way. */
interface Begun {
  readonly address: string;
}

export interface FetchOptions {
  /** Where the bytes are read, instead of anew from the address. */
  readonly from?: ByteSource;
  /** Called with bytes as they come; those of an unfinished transfer that is taken up come first. */
  readonly onBytes?: (bytes: number) => void;
  /** Told all bytes of the file in order, whether they come now or have come before; the transfer waits for it. */
  readonly onChunk?: (bytes: Uint8Array) => Promise<void>;
  readonly signal?: AbortSignal;
}

/** Opens the place where fetched files are kept. @throws WebldmError where this environment has none */
export const openFiles = async (place?: string | FileSystemDirectoryHandle): Promise<FileCache> =>
  new FileCache(await openStore(place));

/** Opens a place for files. @throws WebldmError where this environment has none */
export async function openStore(place?: string | FileSystemDirectoryHandle): Promise<FileStore> {
  if (typeof place === "object") return handleStore(place);
  if (typeof place === "string" || globalThis.process?.versions?.node) return nodeStore(place ?? usualFolder());
  const storage = globalThis.navigator?.storage;
  invariant(
    storage?.getDirectory,
    "cache: expected a private file system (OPFS), this page has none: it needs a current browser and https or localhost",
  );
  try {
    const root = await storage.getDirectory();
    return handleStore(await root.getDirectoryHandle("webldm", { create: true }));
  } catch (error) {
    throw new WebldmError(`cache: the page's private file system cannot be had: ${oneLine(error)}`);
  }
}

/**
 * Fetched files in a store. A file is KEY.json, after its address, and parts KEY.VERSION.BEGIN.NUMBER. Each writer's parts
 * have names of their own, and KEY.json is written last, so that several pages or processes may fetch a file at once; what
 * one left unfinished another goes on with.
 */
export class FileCache {
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(private readonly store: FileStore) {}

  /** A file that is there; undefined where it is not (yet), null where its server is known not to have it. */
  async open(address: string): Promise<ByteSource | null | undefined> {
    const stored = await this.read<Stored>(`${keyOf(address)}.json`);
    if (!stored) return undefined;
    return stored.missing ? null : this.source(stored);
  }

  /** Bytes of a file that have come already, in a transfer that did not end. */
  async begunBytes(file: RemoteFile): Promise<number> {
    return (await this.begun(file)).at(-1)?.end ?? 0;
  }

  /** Keeps in mind that there is no file at an address. */
  async putMissing(address: string): Promise<void> {
    const stored: Stored = { address, when: new Date().toISOString(), missing: true, bytes: 0, sha256: "", parts: [] };
    await this.put(`${keyOf(address)}.json`, stored);
  }

  /** Fetches a file, or the rest of it, and opens it. Of two calls for one file, one waits for the other. */
  async fetch(file: RemoteFile, options: FetchOptions = {}): Promise<ByteSource> {
    const { url: address } = file;
    const { signal } = options;
    do {
      await unlessAborted(Promise.resolve(this.running.get(address)), signal);
      const known = await this.open(address);
      if (known) return known;
    } while (this.running.has(address)); // another began meanwhile
    const transfer = alone(`webldm ${this.store.name} ${address}`, signal, () => this.attempt(file, options));
    this.running.set(
      address,
      transfer.catch(() => undefined).finally(() => this.running.delete(address)),
    );
    return transfer;
  }

  async list(which?: string): Promise<CacheEntry[]> {
    const entries = await this.entries(which);
    return entries.filter(({ missing }) => !missing).map(shown);
  }

  async delete(which?: string): Promise<void> {
    const names = await this.store.names();
    if (which === undefined) {
      await this.removeAll(names);
      return;
    }
    for (const name of names) {
      if (!name.endsWith(".json")) continue;
      const about = await this.read<{ address: string }>(name);
      const key = name.replace(/\..*$/, "");
      if (about && isOf(about.address, which)) await this.removeAll(names.filter((other) => keyIs(other, key)));
    }
  }

  async verify(which?: string): Promise<CacheEntry[]> {
    const damaged: CacheEntry[] = [];
    for (const stored of await this.entries(which)) {
      if (stored.missing) continue;
      const source = await this.source(stored);
      const digest = sha256();
      if (source) for await (const block of blocksOf(source, 0, source.size)) digest.update(block);
      if (!source || digest.hex() !== stored.sha256) damaged.push(shown(stored));
    }
    return damaged;
  }

  /** One transfer. Its parts may be swept away by a process that was faster: then that one's are there. */
  private async attempt(file: RemoteFile, options: FetchOptions): Promise<ByteSource> {
    try {
      return await this.guarded(file.url, () => this.transfer(file, options));
    } catch (error) {
      const other = await this.open(file.url);
      if (other && !options.signal?.aborted) return other;
      throw error;
    }
  }

  private async transfer(file: RemoteFile, { from, onBytes, onChunk, signal }: FetchOptions): Promise<ByteSource> {
    const { url: address, size } = file;
    const key = keyOf(address);
    const known = await this.read<Stored>(`${key}.json`);
    const usable = known && !known.missing && (await this.source(known));
    if (usable) return usable;
    if (known) await this.store.remove(`${key}.json`); // damaged, or from when there was no such file
    const parts = await this.begun(file);
    await this.sweep(key, parts);
    await this.put(`${key}.part.json`, { address });
    const digest = sha256();
    for (const { file: name, begin, end } of parts) {
      const source = await this.store.open(name);
      invariant(source, `cache: ${name} is gone`);
      for await (const block of blocksOf(source, 0, end - begin, signal)) {
        digest.update(block);
        onBytes?.(block.byteLength);
        await onChunk?.(block);
      }
    }
    const writer = new PartWriter(this.store, prefixOf(file) ?? `${key}.${unique()}`, parts);
    const behind = new WriteBehind(async (block) => {
      digest.update(block);
      await writer.write(block);
    });
    try {
      const { at } = writer;
      const chunks = from ? blocksOf(from, at, from.size, signal) : chunksOf(file, at, size, { signal });
      for await (const chunk of chunks) {
        await behind.add(chunk);
        onBytes?.(chunk.byteLength);
        await onChunk?.(chunk);
      }
      await behind.end();
    } catch (error) {
      await this.leave(file, writer, behind).catch(() => undefined); // a stream that failed does not close either
      throw error;
    }
    await writer.close();
    const bytes = writer.at;
    const stored: Stored = {
      address,
      when: new Date().toISOString(),
      bytes,
      sha256: digest.hex(),
      parts: writer.parts,
    };
    // Another process may have been faster: then its parts are taken, which may be the same.
    const isFirst = await this.put(`${key}.json`, stored);
    const first = isFirst ? stored : ((await this.read<Stored>(`${key}.json`)) ?? stored);
    const kept = new Set([`${key}.json`, ...first.parts.map((part) => part.file)]);
    await this.removeAll((await this.store.names()).filter((name) => keyIs(name, key) && !kept.has(name)));
    const source = await this.source(first);
    invariant(source, `cache: ${address} was removed while it came in`);
    return source;
  }

  /** What has come stays for the next attempt, where that can tell that it is of the same version. */
  private async leave(file: RemoteFile, writer: PartWriter, behind: WriteBehind): Promise<void> {
    try {
      await behind.end().finally(() => writer.close());
    } finally {
      if (prefixOf(file) === undefined) await this.removeAll(writer.parts.map((part) => part.file));
    }
  }

  /** Parts of an unfinished transfer of this version of a file, one after the other from byte 0 on. */
  private async begun(file: RemoteFile): Promise<Part[]> {
    const { size } = file;
    const prefix = prefixOf(file);
    if (prefix === undefined) return [];
    const found: Part[] = [];
    for (const name of await this.store.names()) {
      const [begin] = name.startsWith(`${prefix}.`) ? name.slice(prefix.length + 1).split(".") : [];
      const source = begin === undefined ? undefined : await this.store.open(name);
      if (source) found.push({ file: name, begin: Number(begin), end: Number(begin) + source.size });
    }
    const parts: Part[] = [];
    for (let at = 0; ; at = parts.at(-1)!.end) {
      const next = found.filter(({ begin, end }) => begin === at && end > at && end <= (size ?? end));
      if (next.length === 0) return parts;
      parts.push(next.reduce((a, b) => (a.end >= b.end ? a : b)));
    }
  }

  /** Removes what transfers of a file left that this one cannot go on with: of other versions, or of none that is known. */
  private async sweep(key: string, taken: readonly Part[]): Promise<void> {
    const names = (await this.store.names()).filter((name) => keyIs(name, key) && !name.endsWith(".json"));
    const kept = new Set(taken.map(({ file }) => file));
    // Where another process writes to one part, it still needs its earlier ones.
    for (const version of new Set(names.map(versionIn))) {
      const parts = names.filter((name) => versionIn(name) === version);
      if (await this.store.areIdle(parts)) await this.removeAll(parts.filter((name) => !kept.has(name)));
    }
  }

  /** The bytes of parts, one after the other; undefined where one is gone or too short. */
  private async source({ address, bytes, parts }: Stored): Promise<ByteSource | undefined> {
    const opened = await Promise.all(parts.map(({ file }) => this.store.open(file)));
    if (opened.some((part, i) => !part || part.size < parts[i]!.end - parts[i]!.begin)) return undefined;
    if (bytes === 0) return fromBytes(new Uint8Array(0), address);
    const source: ByteSource = {
      name: address,
      size: bytes,
      readsAtOnce: opened[0]?.readsAtOnce ?? 1,
      async read(begin, end, signal, into) {
        checkRange(source, begin, end);
        const touched = parts.flatMap((part, i) => (part.begin < end && part.end > begin ? [i] : []));
        const [only] = touched;
        if (only === undefined) return new Uint8Array(0);
        const from = parts[only]!.begin;
        if (touched.length === 1) return opened[only]!.read(begin - from, end - from, signal, into);
        const pieces = await Promise.all(
          touched.map((i) => {
            const part = parts[i]!;
            const [first, last] = [Math.max(begin, part.begin), Math.min(end, part.end)];
            return opened[i]!.read(first - part.begin, last - part.begin, signal);
          }),
        );
        const out = new Uint8Array(into ?? new ArrayBuffer(end - begin), 0, end - begin);
        let at = 0;
        for (const piece of pieces) {
          out.set(piece, at);
          at += piece.byteLength;
        }
        return out;
      },
    };
    return source;
  }

  private async entries(which: string | undefined): Promise<Stored[]> {
    const names = (await this.store.names()).filter((name) => /^\w+\.json$/.test(name));
    const all = await Promise.all(names.sort().map((name) => this.read<Stored>(name)));
    return all.filter((stored) => stored !== undefined).filter(({ address }) => isOf(address, which));
  }

  /** What a file of ours says; undefined where there is none, or none that can be read. */
  private async read<T>(name: string): Promise<T | undefined> {
    const source = await this.store.open(name);
    if (!source) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(await source.read(0, source.size))) as T;
    } catch {
      return undefined;
    }
  }

  private put(name: string, value: Stored | Begun): Promise<boolean> {
    return this.guarded(value.address, () => this.store.put(name, JSON.stringify(value)));
  }

  private async removeAll(names: readonly string[]): Promise<void> {
    for (const name of names) await this.store.remove(name);
  }

  /** Turns failures of the store into errors that say what can be done. */
  private async guarded<T>(address: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      const full = error instanceof Error && (error.name === "QuotaExceededError" || codeOf(error) === "ENOSPC");
      if (full) {
        throw new WebldmError(
          `cache: no room for ${address} in ${this.store.name}; make some with cache.delete(), or load with { cache: false }`,
        );
      }
      if (codeOf(error) === undefined) throw error;
      throw new WebldmError(`cache: ${this.store.name} cannot be written to: ${oneLine(error)}`);
    }
  }
}

/** Files of the store that take up bytes in order, each closed when it is large enough. */
class PartWriter {
  readonly parts: Part[];
  private sink: FileSink | undefined;
  private file = "";
  private begin = 0;
  at: number;

  constructor(
    private readonly store: FileStore,
    private readonly prefix: string,
    parts: readonly Part[],
  ) {
    this.parts = [...parts];
    this.at = parts.at(-1)?.end ?? 0;
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!this.sink) {
      this.begin = this.at;
      this.file = `${this.prefix}.${this.at}.${unique()}`;
      this.sink = await this.store.create(this.file);
    }
    await this.sink.write(bytes);
    this.at += bytes.byteLength;
    if (this.at - this.begin >= partBytes) await this.close();
  }

  async close(): Promise<void> {
    const { sink } = this;
    this.sink = undefined;
    if (!sink) return;
    await sink.close();
    this.parts.push({ file: this.file, begin: this.begin, end: this.at });
  }
}

async function* blocksOf(
  source: ByteSource,
  begin: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for (let at = begin; at < end; at += blockBytes) {
    yield new Uint8Array(await source.read(at, Math.min(at + blockBytes, end), signal));
  }
}

/** Names a file of the store after an address. */
const keyOf = (address: string): string => hashOf(address).slice(0, 32);

/** What names of parts of a version of a file begin with; undefined where its server tells no version. */
const prefixOf = ({ url, etag, size }: RemoteFile): string | undefined =>
  etag === null ? undefined : `${keyOf(url)}.${hashOf(`${etag} ${size}`).slice(0, 8)}`;

function hashOf(text: string): string {
  const digest = sha256();
  digest.update(new TextEncoder().encode(text));
  return digest.hex();
}

const unique = (): string => Math.random().toString(36).slice(2);

/** Which version of its file a part is of; of a version that is not known, which transfer it is of. */
const versionIn = (name: string): string | undefined => name.split(".")[1];

const keyIs = (name: string, key: string): boolean => name.startsWith(`${key}.`);

const shown = ({ address, bytes, sha256, when }: Stored): CacheEntry => ({
  address,
  bytes,
  sha256,
  when: new Date(when),
});

/** Whether an address is, or lies in, what a caller named. */
function isOf(address: string, which: string | undefined): boolean {
  if (which === undefined || address === which) return true;
  const model = hubModel(which);
  if (!model) return address.startsWith(which.endsWith("/") ? which : `${which}/`);
  const { owner, name, revision } = model;
  const place = `/${owner}/${name}/resolve/`;
  return address.includes(revision === undefined ? place : `${place}${encodeURIComponent(revision)}/`);
}
