import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Whether a file is one of weights, by the endings in use. */
export const isWeights = (path: string): boolean => /\.(safetensors|ckpt|pt|pth|bin)$/i.test(path);

/**
 * Files below a folder, sorted. Links to files count, since download caches consist of them; links to folders, hidden
 * files and hidden folders do not.
 */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !name.startsWith("."));
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(path);
      const isFile = entry.isFile() || (await stat(path).catch(() => undefined))?.isFile();
      return isFile ? [path] : [];
    }),
  );
  return found.flat().sort();
}
