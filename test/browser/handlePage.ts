// A page with the cache's files in its private file system, which counts workers that it makes and reads of blobs.
import { type BuildOptions, build } from "esbuild";
import type { Browser, Page } from "puppeteer";
import { expect } from "vitest";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import type * as blob from "../../src/weights/blob.js";
import type { ByteSource } from "../../src/weights/byteSource.js";
import type * as fileCache from "../../src/weights/fileCache.js";
import { openPage } from "../harness/chrome.js";
import { root } from "../harness/source.js";
import { serve, type TestServer } from "../weights/server.js";

/** What a page did since it was opened. */
export interface Seen {
  /** Workers that were asked for, and messages that went to them. */
  workers: number;
  messages: number;
  /** Sizes of ranges that were read from blobs. */
  slices: number[];
  /** Addresses of blobs that were made and not revoked. */
  addresses: number;
}

declare global {
  interface Window {
    seen: Seen;
    files: typeof fileCache & typeof blob;
    /** A cache in a folder of its own, made anew, with a file in parts of these sizes. */
    stored(folder: string, sizes: readonly number[]): Promise<Stored>;
    /** Bytes that were read, or the error in text. */
    told(reads: readonly Promise<Uint8Array>[]): Promise<(Uint8Array | string)[]>;
    /** Who reads the whole of a source, and whether it reads these bytes. */
    readerOf(source: ByteSource, whole: Blob): Promise<string>;
  }
}

export interface Stored {
  readonly folder: FileSystemDirectoryHandle;
  readonly cache: fileCache.FileCache;
  /** The file in the cache. */
  readonly address: string;
  readonly parts: readonly FileSystemFileHandle[];
  readonly whole: Blob;
}

/** How a page differs from others. */
export interface Differences {
  /** Text around the reader's script, in its worker. */
  readonly before?: string;
  readonly after?: string;
  /** Run in the page before anything else. */
  readonly page?: string;
  /** The page's Content-Security-Policy. */
  readonly policy?: string;
}

export async function servePages(): Promise<TestServer> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export * from "./src/weights/fileCache.js"; export * from "./src/weights/blob.js";`,
      resolveDir: root,
    },
    bundle: true,
    minify: true, // as pages have it
    format: "esm",
    platform: "browser",
    write: false,
    plugins: [wgslPlugin()],
  } satisfies BuildOptions);
  const html = `<!doctype html><script type="module">import * as files from "/lib.js"; window.files = files;</script>`;
  return serve((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://host");
    const policy = searchParams.get("policy");
    const headers: Record<string, string> = policy ? { "content-security-policy": policy } : {};
    const send = (type: string, body: string | Uint8Array) =>
      response.writeHead(200, { "content-type": type, ...headers }).end(body);
    if (pathname === "/") return send("text/html", html);
    if (pathname === "/lib.js") return send("text/javascript", outputFiles[0]!.contents);
    if (pathname === "/nested.js") return send("text/javascript", nested);
    if (pathname === "/lock.js") return send("text/javascript", locking);
    return response.writeHead(404).end();
  });
}

/** A worker that locks a file for itself until it is told to let go. */
const locking = `onmessage = async ({ data }) => {
  if (data !== "end") globalThis.access = await data.createSyncAccessHandle();
  else access.close();
  postMessage("done");
};`;

/** A worker that reads a file of a cache as engines in workers do, with text before the reader's script. */
const nested = `import { openFiles } from "/lib.js";
const { slice } = Blob.prototype;
const { createObjectURL } = URL;
onmessage = async ({ data: { folder, address, before } }) => {
  let reader = "worker";
  Blob.prototype.slice = function (...range) { reader = "blob"; return slice.apply(this, range); };
  URL.createObjectURL = (blob) => createObjectURL(new Blob([before, blob]));
  const source = await (await openFiles(folder)).open(address);
  reader = "worker";
  const bytes = await source.read(0, source.size);
  postMessage({ reader, bytes });
};`;

export async function openHandlePage(browser: Browser, origin: string, differences: Differences = {}): Promise<Page> {
  const page = await openPage(browser);
  page.on("pageerror", (error) => expect.soft(error).toBeUndefined()); // also of what nobody awaits
  await page.evaluateOnNewDocument(prepare, differences);
  if (differences.page) await page.evaluateOnNewDocument(differences.page);
  await page.goto(`${origin}/?${new URLSearchParams(differences.policy ? { policy: differences.policy } : {})}`);
  await page.waitForFunction(() => "files" in window);
  return page;
}

/** Runs in the page. */
function prepare({ before = "", after = "" }: Differences): void {
  const seen: Seen = { workers: 0, messages: 0, slices: [], addresses: 0 };
  window.seen = seen;

  window.Worker = class extends Worker {
    constructor(script: string | URL, options?: WorkerOptions) {
      seen.workers++;
      super(script, options);
    }
    override postMessage(message: unknown, transfer?: Transferable[] | StructuredSerializeOptions): void {
      seen.messages++;
      super.postMessage(message, transfer as Transferable[]);
    }
  };

  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => {
    seen.addresses++;
    return createObjectURL(blob instanceof Blob ? new Blob([before, blob, after], { type: blob.type }) : blob);
  };
  URL.revokeObjectURL = (address) => {
    seen.addresses--;
    revokeObjectURL(address);
  };

  const { slice } = Blob.prototype;
  Blob.prototype.slice = function (begin, end, type) {
    const part = slice.call(this, begin, end, type);
    seen.slices.push(part.size);
    return part;
  };

  window.stored = async (name, sizes) => {
    const place = await navigator.storage.getDirectory();
    await place.removeEntry(name, { recursive: true }).catch(() => undefined);
    const folder = await place.getDirectoryHandle(name, { create: true });
    const address = `https://example.com/${name}`;
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(address));
    const key = Array.from(new Uint8Array(digest).subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(
      "",
    );
    const write = async (file: string, content: BlobPart) => {
      const handle = await folder.getFileHandle(file, { create: true });
      const stream = await handle.createWritable();
      await stream.write(content as FileSystemWriteChunkType);
      await stream.close();
      return handle;
    };
    const parts: { file: string; begin: number; end: number }[] = [];
    const handles: FileSystemFileHandle[] = [];
    let at = 0;
    for (const [i, size] of sizes.entries()) {
      const begin = at;
      const bytes = Uint8Array.from({ length: size }, (_, j) => Math.imul(begin + j, 2654435761) >>> 21);
      const file = `${key}.${name}.${i}`;
      handles.push(await write(file, bytes));
      at += size;
      parts.push({ file, begin, end: at });
    }
    await write(
      `${key}.json`,
      JSON.stringify({ address, when: new Date().toISOString(), bytes: at, sha256: "", parts }),
    );
    const whole = new Blob(await Promise.all(handles.map((handle) => handle.getFile())));
    return { folder, cache: await window.files.openFiles(folder), address, parts: handles, whole };
  };

  window.readerOf = async (source, whole) => {
    seen.slices.length = 0;
    const bytes = await source.read(0, source.size);
    const reader = seen.slices.includes(source.size) ? "blob" : "worker";
    const expected = new Uint8Array(await whole.arrayBuffer());
    return bytes.length === expected.length && expected.every((byte, i) => byte === bytes[i]) ? reader : "wrong bytes";
  };

  window.told = async (reads) =>
    (await Promise.allSettled(reads)).map((read) =>
      read.status === "fulfilled" ? read.value : `${read.reason instanceof Error ? read.reason : String(read.reason)}`,
    );
}
