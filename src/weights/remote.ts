import { invariant, WebldmError } from "../core/invariant.js";
import type { ByteSource } from "./byteSource.js";
import { type ModelCache, cache as usualCache } from "./cache.js";
import type { FileCache } from "./fileCache.js";
import { type Folder, folderAt } from "./folder.js";
import { hubAddress, usualHost } from "./hub.js";
import { hubModel } from "./hubName.js";
import { oneLine } from "./oneLine.js";
import type { OpenedFile } from "./rangeSource.js";
import type { StoredTensor } from "./safetensors.js";
import { openRemote } from "./url.js";

export interface RemoteOptions {
  readonly host?: string;
  readonly token?: string;
  readonly cache?: boolean | ModelCache;
}

/** Files that are still to be brought into the cache. */
export interface Fetching {
  /** Bytes of these files. */
  readonly total: number;
  /** Bytes that are still to come: fewer, where a transfer was begun before. */
  left(): Promise<number>;
  /** Fetches them, one after the other. `onBytes` is told the bytes that came, and the part that they are of. */
  run(options: {
    readonly onBytes?: (bytes: number, part: string) => void;
    readonly signal?: AbortSignal;
  }): Promise<void>;
}

/** Files with weights, which are fetched when the model is known to fit; smaller files are fetched when they are opened. */
const weightFile = /\.(safetensors|ckpt|pt|pth|bin)$/i;

/**
 * Files of one load that are asked for by address: from the cache where they are there, else from their server. Files with
 * weights are read over the network (their headers are) until they have been fetched.
 */
export class RemoteFiles implements Fetching {
  /** What pictures of a model that came this way should be accompanied by. */
  readonly notes: string[] = [];
  private readonly missing = new Set<string>();
  private waiting: Weights[] = [];
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
    this.waiting = this.waiting.filter(({ name }) => names.has(name));
  }

  get total(): number {
    return this.waiting.reduce((sum, { size }) => sum + size, 0);
  }

  async left(): Promise<number> {
    const files = await this.cache();
    let sum = 0;
    for (const { opened, size } of this.waiting) sum += size - ((await files?.begunBytes(opened.file)) ?? 0);
    return sum;
  }

  async run({ onBytes, signal }: Parameters<Fetching["run"]>[0]): Promise<void> {
    const files = await this.cache();
    if (!files) return;
    for (let next = this.waiting[0]; next; next = this.waiting[0]) {
      const { part } = next;
      await next.fill(files, {
        ...(onBytes ? { onBytes: (bytes: number) => onBytes(bytes, part) } : {}),
        ...(signal ? { signal } : {}),
      });
      this.waiting.shift();
    }
    // Known only now to be of a model that can be loaded: else a mistake in a name would stay.
    for (const address of this.missing) await files.putMissing(address);
    this.missing.clear();
  }

  private async open(address: string, path: string, init: RequestInit = {}): Promise<ByteSource | undefined> {
    const files = await this.cache();
    if (!files) return (await openRemote(address, { ...init, signal: this.signal }))?.source;
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
    if (!weightFile.test(path.replace(/[?#].*$/, ""))) return files.fetch(file, { from: opened.source });
    const weights = new Weights({ file, source: opened.source }, path, header);
    this.waiting.push(weights);
    return weights;
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
  private kept: ByteSource | undefined;

  constructor(
    readonly opened: OpenedFile,
    path: string,
    private readonly header: AbortController,
  ) {
    this.name = opened.source.name;
    this.size = opened.source.size;
    const [first = "", ...rest] = path.split("/");
    this.part = rest.length === 1 ? first : (rest.at(-1) ?? first).replace(/[?#].*$/, "");
  }

  read(begin: number, end: number, signal?: AbortSignal, into?: ArrayBuffer): Promise<Uint8Array> {
    return (this.kept ?? this.opened.source).read(begin, end, signal, into);
  }

  async fill(files: FileCache, options: Parameters<FileCache["fetch"]>[1]): Promise<void> {
    this.header.abort(); // a server without ranges is still sending the body that the header was read from
    this.kept = await files.fetch(this.opened.file, options);
  }
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
