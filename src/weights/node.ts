import type { Stats } from "node:fs";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { invariant, WebldmError } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import { type Folder, pathParts } from "./folder.js";
import { oneLine } from "./oneLine.js";

const largestRead = 2 ** 30; // the system takes less than 2^31 bytes per call

/** A file on disk. It is opened anew for every read, so that no descriptor stays behind and nothing needs closing. */
export async function fromFile(path: string): Promise<ByteSource> {
  const source = await openFile(path);
  invariant(source, `file '${path}' does not exist`);
  return source;
}

/** A folder on disk. Fails where it does not exist. */
export async function folderFromPath(path: string): Promise<Folder> {
  const found = await statOf(path);
  invariant(found?.isDirectory(), `model folder '${path}' ${found ? "is not a folder" : "does not exist"}`);
  return { name: path, open: async (file) => openFile(join(path, ...pathParts(file))) };
}

async function openFile(path: string): Promise<ByteSource | undefined> {
  const found = await statOf(path);
  if (!found?.isFile()) return undefined;
  const source: ByteSource = {
    name: path,
    size: found.size,
    async read(begin, end, signal) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      try {
        return await readRange(path, begin, end, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof WebldmError) throw error;
        throw new WebldmError(`file '${path}' could not be read: ${oneLine(error)}`);
      }
    },
  };
  return source;
}

async function readRange(path: string, begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  const handle = await open(path);
  try {
    let done = 0;
    while (done < bytes.byteLength) {
      signal?.throwIfAborted();
      const length = Math.min(bytes.byteLength - done, largestRead);
      const { bytesRead } = await handle.read(bytes, done, length, begin + done);
      invariant(bytesRead > 0, `file '${path}' ended at byte ${begin + done}, expected bytes up to ${end}`);
      done += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return bytes;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new WebldmError(`'${path}' could not be opened: ${oneLine(error)}`);
  }
}
