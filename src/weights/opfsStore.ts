import { fromBlob } from "./blob.js";
import type { FileStore } from "./fileStore.js";

/** A folder of the browser: of the page's private file system (OPFS), or one that the person gave access to. */
export function handleStore(folder: FileSystemDirectoryHandle): FileStore {
  const writable = async (name: string) => (await folder.getFileHandle(name, { create: true })).createWritable();
  const find = async (name: string) => {
    try {
      return await (await folder.getFileHandle(name)).getFile();
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };
  return {
    name: folder.name || "the page's private file system",
    names: async () => {
      const names: string[] = [];
      for await (const name of folder.keys()) names.push(name);
      return names;
    },
    open: async (name) => {
      const file = await find(name);
      return file && fromBlob(file, name);
    },
    create: async (name) => {
      const stream = await writable(name);
      return { write: (bytes) => stream.write(bytes), close: () => stream.close() };
    },
    put: async (name, text) => {
      // Writers of one file take turns (Web Locks), so that none comes in between.
      if ((await find(name)) !== undefined) return false;
      const stream = await writable(name);
      await stream.write(text);
      await stream.close();
      return true;
    },
    areIdle: async () => true, // writers take turns
    remove: async (name) => {
      try {
        await folder.removeEntry(name);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
  };
}

const isMissing = (error: unknown): boolean => error instanceof Error && error.name === "NotFoundError";
