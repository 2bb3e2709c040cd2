import type { CacheEntry, FileCache } from "./fileCache.js";

export type { CacheEntry } from "./fileCache.js";

/**
 * Model files that were fetched: in a page's private file system (OPFS), in Node in a folder. A file that is there is not
 * asked for again, not even whether it changed, until it is deleted here. Which files: an address, that of a folder, or a
 * hub name (`owner/name` for all revisions, `owner/name@revision` for one); all where none is given.
 */
export interface ModelCache {
  /** Files that are there, complete. */
  list(which?: string): Promise<CacheEntry[]>;
  /** Unfinished files too. Models that were loaded keep working as far as their weights are on the device. */
  delete(which?: string): Promise<void>;
  /** Reads files again: those whose content no longer has its SHA-256. Delete these to have them fetched anew. */
  verify(which?: string): Promise<CacheEntry[]>;
  /** What the loader works with. */
  files(): Promise<FileCache>;
}

/**
 * A cache in a place of its own: a folder's path in Node, a folder's handle in browsers. Without one, where `load` keeps
 * files: the private file system; in Node the folder in WEBLDM_CACHE, or the system's place for caches.
 */
export function openCache(place?: string | FileSystemDirectoryHandle): ModelCache {
  let opened: Promise<FileCache> | undefined;
  const files = () => {
    opened ??= import("./fileCache.js")
      .then(({ openFiles }) => openFiles(place))
      .catch((error) => {
        opened = undefined;
        throw error;
      });
    return opened;
  };
  return {
    list: async (which) => (await files()).list(which),
    delete: async (which) => (await files()).delete(which),
    verify: async (which) => (await files()).verify(which),
    files,
  };
}

/** The cache that `load` uses. */
export const cache: ModelCache = openCache();
