import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Paths below a folder, relative to the root, sorted, packages left out; empty when the folder does not exist. */
export function filesBelow(folder: string, ending: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
      .filter((path) => !path.includes("/node_modules/"))
      .sort();
  } catch {
    return [];
  }
}

export const readSource = (path: string): string => readFileSync(join(root, path), "utf8");
