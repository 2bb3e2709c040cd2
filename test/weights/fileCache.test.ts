// The cache in stores that behave as those of browsers do.
import { describe, expect, it } from "vitest";
import { fromBytes } from "../../src/weights/byteSource.js";
import { FileCache } from "../../src/weights/fileCache.js";
import type { FileStore } from "../../src/weights/fileStore.js";
import type { RemoteFile } from "../../src/weights/http.js";
import { failure } from "./tiny.js";

const megabyte = 2 ** 20;
const address = "https://example.com/a.safetensors";

/** A store in memory. */
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
