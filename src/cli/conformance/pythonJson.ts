import { readFile } from "node:fs/promises";
import { invariant, WebldmError } from "../../core/invariant.js";
import { parsePythonJson } from "../../core/json.js";
import { oneLine } from "../../weights/oneLine.js";

/** Reads a file of JSON as Python writes it: `Infinity` stays itself, `NaN` becomes null. */
export async function readPythonJson(path: string): Promise<unknown> {
  try {
    return parsePythonJson(await readFile(path, "utf8"));
  } catch (error) {
    throw new WebldmError(`${path}: ${oneLine(error)}`);
  }
}

export function listIn(json: unknown, path: string): readonly unknown[] {
  invariant(Array.isArray(json), `${path}: expected a list of cases`);
  return json;
}
