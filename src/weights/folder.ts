import { invariant, WebldmError } from "../core/invariant.js";
import { parsePythonJson } from "../core/json.js";
import { fromBlob } from "./blob.js";
import type { ByteSource } from "./byteSource.js";
import { oneLine } from "./oneLine.js";
import { openUrl } from "./url.js";

/** The files of a model by their path, wherever they are. */
export interface Folder {
  /** What a message calls the folder. */
  readonly name: string;
  /** A file by its path with forward slashes; undefined where there is none. Fails where it exists but cannot be had. */
  open(path: string): Promise<ByteSource | undefined>;
}

/** Parts of a path inside a folder. Fails where it leads out: paths also come from files that were downloaded. */
export function pathParts(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  invariant(
    parts.length > 0 && !path.startsWith("/") && !/[\\\0]/.test(path) && !parts.includes(".."),
    () => `path '${path}': expected a relative path inside the model folder`,
  );
  return parts;
}

/** A folder behind HTTP. A query in the address is sent with every file. */
export function folderFromUrl(base: string, init?: RequestInit): Folder {
  return folderAt(base, base, (file) => openUrl(file, init));
}

/** A folder behind an address whose files are opened in another way. */
export function folderAt(
  base: string,
  name: string,
  open: (address: string, path: string) => Promise<ByteSource | undefined>,
): Folder {
  const [, address = "", query = ""] = /^([^?#]*)(\?[^#]*)?/.exec(base) ?? [];
  const root = address.endsWith("/") || address === "" ? address : `${address}/`;
  return { name, open: async (path) => open(root + pathParts(path).map(encodeURIComponent).join("/") + query, path) };
}

/**
 * Files chosen in a file or folder picker, or blobs by their path. The folder that all files of a picked folder have in
 * common is left out of their paths.
 */
export function folderFromFiles(files: Iterable<File> | Map<string, Blob>): Folder {
  const entries: [string, Blob][] =
    files instanceof Map ? [...files] : Array.from(files, (file) => [file.webkitRelativePath || file.name, file]);
  let name = "files";
  if (!(files instanceof Map)) {
    const tops = new Set(entries.map(([path]) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined)));
    const [top] = tops;
    if (tops.size === 1 && top !== undefined) {
      name = top;
      for (const entry of entries) entry[0] = entry[0].slice(top.length + 1);
    }
  }
  const blobs = new Map(entries);
  return {
    name,
    async open(path) {
      const clean = pathParts(path).join("/");
      const blob = blobs.get(clean);
      return blob && fromBlob(blob, `${name}/${clean}`);
    },
  };
}

/** A folder the person gave access to in the browser. */
export function folderFromHandle(handle: FileSystemDirectoryHandle): Folder {
  return {
    name: handle.name,
    async open(path) {
      const parts = pathParts(path);
      const file = parts.pop()!;
      try {
        let folder = handle;
        for (const part of parts) folder = await folder.getDirectoryHandle(part);
        return fromBlob(await (await folder.getFileHandle(file)).getFile(), `${handle.name}/${path}`);
      } catch (error) {
        // A folder where a file was meant, or the other way round, is no such file either.
        if (error instanceof Error && /^(NotFoundError|TypeMismatchError)$/.test(error.name)) return undefined;
        throw new WebldmError(`${handle.name}/${path}: could not be opened: ${oneLine(error)}`);
      }
    },
  };
}

/** The text of a file; undefined where there is none. Fails where it is not UTF-8. */
export async function readText(folder: Folder, path: string): Promise<string | undefined> {
  const source = await folder.open(path);
  if (!source) return undefined;
  const bytes = await source.read(0, source.size);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new WebldmError(`${folder.name}: '${path}' is not UTF-8 text`);
  }
}

/** The content of a JSON file; undefined where there is none. Its type is the caller's claim: check what matters. */
export async function readJson<T = unknown>(folder: Folder, path: string): Promise<T | undefined> {
  const text = await readText(folder, path);
  if (text === undefined) return undefined;
  try {
    return parsePythonJson(text) as T;
  } catch (error) {
    throw new WebldmError(`${folder.name}: '${path}' is not valid JSON: ${oneLine(error)}`);
  }
}
