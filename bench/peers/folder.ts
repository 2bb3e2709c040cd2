import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Files in the folder that the page of the peers is served from. */
export const peersPage = "peersPage.mjs";
export const versionsFile = "versions.json";

export const versionsIn = (folder: string): Readonly<Record<string, string>> =>
  JSON.parse(readFileSync(join(folder, versionsFile), "utf8"));
