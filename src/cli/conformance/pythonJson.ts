import { readFile } from "node:fs/promises";
import { invariant, WebldmError } from "../../core/invariant.js";
import { oneLine } from "../../weights/oneLine.js";

/** Reads a file of JSON as Python writes it: `Infinity` stays itself, `NaN` becomes null. */
export async function readPythonJson(path: string): Promise<unknown> {
  try {
    return parsePythonJson(await readFile(path, "utf8"));
  } catch (error) {
    throw new WebldmError(`${path}: ${oneLine(error)}`);
  }
}

/** JSON has no such numbers; a number beyond the largest one is read as infinity. */
export function parsePythonJson(text: string): unknown {
  const plain = text.replace(/"(?:[^"\\]|\\.)*"|Infinity|NaN/g, (token) =>
    token === "Infinity" ? "1e999" : token === "NaN" ? "null" : token,
  );
  return JSON.parse(plain) as unknown;
}

export function listIn(json: unknown, path: string): readonly unknown[] {
  invariant(Array.isArray(json), `${path}: expected a list of cases`);
  return json;
}
