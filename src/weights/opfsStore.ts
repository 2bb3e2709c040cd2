import { alone } from "./alone.js";
import type { FileStore } from "./fileStore.js";
import { handleReader } from "./handleReader.js";
import { lockPrefix } from "./handleWorker.js";

/** A folder of the browser: of the page's private file system (OPFS), or one that the person gave access to. */
export function handleStore(folder: FileSystemDirectoryHandle): FileStore {
  const writable = async (name: string) => (await folder.getFileHandle(name, { create: true })).createWritable();
  const source = handleReader();
  const find = async (name: string) => {
    try {
      const handle = await folder.getFileHandle(name);
      return { handle, file: await handle.getFile() };
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
      const found = await find(name);
      return found && source(found.handle, found.file, name);
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
        await alone(`${lockPrefix}${name}`, undefined, () => folder.removeEntry(name));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
  };
}

const isMissing = (error: unknown): boolean => error instanceof Error && error.name === "NotFoundError";
