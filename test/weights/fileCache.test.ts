// The cache in stores that behave as those of browsers do.
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type ByteSource, fromBytes } from "../../src/weights/byteSource.js";
import { FileCache } from "../../src/weights/fileCache.js";
import type { FileStore } from "../../src/weights/fileStore.js";
import type { RemoteFile } from "../../src/weights/http.js";
import { nodeStore } from "../../src/weights/nodeStore.js";
import { failure } from "./tiny.js";

const megabyte = 2 ** 20;
const address = "https://example.com/a.safetensors";

/** A store in memory, whose writers take turns. */
function memory(): FileStore & { readonly files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    name: "memory",
    names: async () => [...files.keys()],
    open: async (name) => {
      const bytes = files.get(name);
      return bytes && fromBytes(bytes, name);
    },
    create: async (name) => ({
      write: async (bytes) => void files.set(name, Buffer.concat([files.get(name) ?? Buffer.of(), bytes])),
      close: async () => undefined,
    }),
    put: async (name, text) => {
      if (files.has(name)) return false;
      files.set(name, new TextEncoder().encode(text));
      return true;
    },
    areIdle: async () => true,
    remove: async (name) => void files.delete(name),
  };
}

const remote = (size: number, etag: string | null = '"1"'): RemoteFile => ({
  url: address,
  init: undefined,
  size,
  etag,
});

describe("a store that is full", () => {
  it.each([3, 30])(
    "is what a transfer of %d MB fails with, though the stream does not close then",
    async (megabytes) => {
      const bytes = new Uint8Array(megabytes * megabyte);
      const store = memory();
      store.create = async () => {
        const stream = new WritableStream({
          write: () => Promise.reject(new DOMException("too much", "QuotaExceededError")),
        });
        const writer = stream.getWriter();
        writer.closed.catch(() => undefined);
        return { write: (block) => writer.write(block), close: () => writer.close() };
      };
      const fetched = new FileCache(store).fetch(remote(bytes.length), { from: fromBytes(bytes) });
      expect(await failure(fetched)).toBe(
        `WebldmError: cache: no room for ${address} in memory; make some with cache.delete(), or load with { cache: false }`,
      );
    },
  );
});

/** A file that breaks off after so many bytes. */
const breaking = (size: number, after: number): ByteSource => ({
  name: address,
  size,
  read: async (begin, end) => {
    if (end > after) throw new Error("broken");
    return new Uint8Array(end - begin);
  },
});

describe("what a transfer left that broke off", () => {
  const size = 30 * megabyte;
  const half = 16 * megabyte;
  const bytesIn = (sizes: Iterable<Uint8Array>) => [...sizes].reduce((sum, { length }) => sum + length, 0);

  it("goes where no other can take it up, as the server tells no version", async () => {
    const store = memory();
    const cache = new FileCache(store);
    expect(await failure(cache.fetch(remote(size, null), { from: breaking(size, half) }))).toBe("Error: broken");
    expect(bytesIn(store.files.values())).toBeLessThan(1000);
  });

  it("goes when the next begins, but for what that takes up", async () => {
    const store = memory();
    for (const etag of ['"1"', '"2"', '"2"', '"3"', '"3"']) {
      await failure(new FileCache(store).fetch(remote(size, etag), { from: breaking(size, half) }));
      expect(bytesIn(store.files.values())).toBeGreaterThanOrEqual(half);
      expect(bytesIn(store.files.values())).toBeLessThan(half + 1000);
    }
    const other = { ...remote(size), url: `${address}.other` };
    await failure(new FileCache(store).fetch(other, { from: breaking(size, half) }));
    expect(bytesIn(store.files.values())).toBeGreaterThanOrEqual(2 * half);
  });

  it("stays in a folder on disk as long as another process may still be writing to it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "webldm-cache-"));
    try {
      const cache = new FileCache(nodeStore(folder));
      const attempt = (etag: string) => failure(cache.fetch(remote(size, etag), { from: breaking(size, half) }));
      const parts = () => readdirSync(folder).filter((name) => !name.endsWith(".json"));
      await attempt('"1"');
      const [old] = parts();
      const [key, version] = old!.split(".");
      const begun = `${key}.${version}.${half}.other`;
      writeFileSync(join(folder, begun), "x");
      const touch = (name: string, hours: number) =>
        utimesSync(join(folder, name), 0, Date.now() / 1000 - hours * 3600);
      touch(old!, 3);
      touch(begun, 0.5);
      await attempt('"2"');
      expect(parts()).toEqual(expect.arrayContaining([old, begun]));
      touch(begun, 2);
      await attempt('"2"');
      expect(parts().filter((name) => name.split(".")[1] === version)).toEqual([]);
      expect(parts()).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a file in parts", () => {
  const whole = Uint8Array.from({ length: 100 }, (_, i) => i);
  const parts = [
    { file: "a", begin: 0, end: 40 },
    { file: "b", begin: 40, end: 70 },
    { file: "c", begin: 70, end: 100 },
  ];

  /** Reads wait until so many are under way. */
  async function opened(atOnce: number): Promise<ByteSource> {
    const store = memory();
    const key = createHash("sha256").update(address).digest("hex").slice(0, 32);
    await store.put(`${key}.json`, JSON.stringify({ address, when: "", bytes: 100, sha256: "", parts }));
    for (const { file, begin, end } of parts) store.files.set(file, whole.subarray(begin, end));
    const { open } = store;
    const waiting: (() => void)[] = [];
    store.open = async (name) => {
      const source = await open(name);
      if (!source || name.endsWith(".json")) return source;
      return {
        ...source,
        read: async (...args) => {
          await new Promise<void>((resolve) => {
            waiting.push(resolve);
            if (waiting.length === atOnce) for (const begin of waiting.splice(0)) begin();
          });
          if (args[0] === 13) throw new Error("unlucky");
          return source.read(...args);
        },
      };
    };
    return (await new FileCache(store).open(address))!;
  }

  it.each([
    [0, 40, 1],
    [39, 41, 2],
    [10, 95, 3],
    [0, 100, 3],
    [45, 45, 1],
    [69, 70, 1],
  ])(
    "is read from %d to %d, of %d parts at once",
    async (begin, end, touched) => {
      const source = await opened(touched);
      expect([...(await source.read(begin, end))]).toEqual([...whole.subarray(begin, end)]);
      for (const size of [end - begin, 200]) {
        const into = new ArrayBuffer(size);
        const bytes = await source.read(begin, end, undefined, into);
        expect([...bytes]).toEqual([...whole.subarray(begin, end)]);
        if (touched > 1) expect(bytes.buffer).toBe(into);
      }
    },
    10_000,
  );

  it("fails where one of them does", async () => {
    expect(await failure((await opened(2)).read(13, 50))).toBe("Error: unlucky");
  });
});
