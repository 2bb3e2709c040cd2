import type { FileHandle } from "node:fs/promises";
import { WebldmError } from "../core/invariant.js";
import { checkRange } from "./byteSource.js";
import type { FileStore } from "./fileStore.js";

/** Node's own modules, asked for in a way that bundlers of pages leave alone. */
function builtin<T>(name: string): T {
  const found: unknown = globalThis.process?.getBuiltinModule?.(name);
  if (!found) throw new WebldmError(`cache: expected the module ${name} of Node 20.16 or later`);
  return found as T;
}

/** Where Node keeps files: WEBLDM_CACHE, or a folder of ours where the system keeps what can be had again. */
export function usualFolder(): string {
  const { homedir } = builtin<typeof import("node:os")>("node:os");
  const { join } = builtin<typeof import("node:path")>("node:path");
  const { env, platform } = process;
  if (env["WEBLDM_CACHE"]) return env["WEBLDM_CACHE"];
  if (platform === "win32") return join(env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "webldm", "Cache");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "webldm");
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "webldm");
}

/** After so long without a change, a process that wrote to a file is taken to have ended: processes take no turns. */
const restMilliseconds = 3_600_000;

/** A folder on disk, made when the first file comes. */
export function nodeStore(folder: string): FileStore {
  const fs = builtin<typeof import("node:fs/promises")>("node:fs/promises");
  const { join } = builtin<typeof import("node:path")>("node:path");
  return {
    name: folder,
    names: () => unlessMissing(fs.readdir(folder)).then((names) => names ?? []),
    open: async (name) => {
      const path = join(folder, name);
      const found = await unlessMissing(fs.stat(path));
      if (!found?.isFile()) return undefined;
      const source = {
        name: path,
        size: found.size,
        async read(begin: number, end: number, signal?: AbortSignal) {
          checkRange(source, begin, end);
          signal?.throwIfAborted();
          const handle = await fs.open(path);
          try {
            return await readAll(handle, begin, end, path);
          } finally {
            await handle.close();
          }
        },
      };
      return source;
    },
    create: async (name) => {
      await fs.mkdir(folder, { recursive: true });
      const handle = await fs.open(join(folder, name), "wx");
      return {
        write: async (bytes) => {
          for (let at = 0; at < bytes.byteLength; ) at += (await handle.write(bytes, at)).bytesWritten;
        },
        close: () => handle.close(),
      };
    },
    put: async (name, text) => {
      await fs.mkdir(folder, { recursive: true });
      const whole = join(folder, `new-${Math.random().toString(36).slice(2)}`);
      await fs.writeFile(whole, text);
      try {
        await fs.link(whole, join(folder, name));
        return true;
      } catch (error) {
        if (codeOf(error) === "EEXIST") return false;
        throw error;
      } finally {
        await fs.rm(whole, { force: true });
      }
    },
    areIdle: async (names) => {
      const found = await Promise.all(names.map((name) => unlessMissing(fs.stat(join(folder, name)))));
      return found.every((file) => !file || Date.now() - file.mtimeMs > restMilliseconds);
    },
    remove: (name) => fs.rm(join(folder, name), { force: true }),
  };
}

async function readAll(handle: FileHandle, begin: number, end: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.byteLength - done, begin + done);
    if (bytesRead === 0) throw new WebldmError(`file '${path}' ended at byte ${begin + done}, expected up to ${end}`);
    done += bytesRead;
  }
  return bytes;
}

async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Node's name for an error of the system. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
