import { accessSync, constants, existsSync, statSync } from "node:fs";
import { open, rm } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { invariant, WebldmError } from "../core/invariant.js";
import type { Picture } from "../index.js";
import { oneLine } from "../weights/oneLine.js";
import { optional } from "./optional.js";

/** Refuses a place for the picture before any work is done. Without one it is the working folder. */
export function checkOut(out: string | undefined): void {
  invariant(out !== "", "--out: expected a file name, got an empty text");
  const folder = out === undefined ? "." : dirname(out);
  invariant(existsSync(folder), () => `--out: expected a file in an existing folder, '${folder}' does not exist`);
  const there = out !== undefined && existsSync(out);
  invariant(!there || !statSync(out).isDirectory(), () => `--out: expected a file name, '${out}' is a folder`);
  const place = there ? out : folder;
  try {
    accessSync(place, constants.W_OK);
  } catch (error) {
    throw new WebldmError(`--out: expected a place to write to, '${place}' is none: ${oneLine(error)}`);
  }
}

/**
 * The files of a request. Of a batch (`images`, also of one) the numbers from 1 stand before the ending. Without `out` the
 * name is made from what was asked and the seed, and is one that no file has yet.
 */
export function pictureNames(
  { out, words, seed }: { readonly out: string | undefined; readonly words: string; readonly seed: number },
  images: number | undefined,
): string[] {
  if (out !== undefined) return numbered(out, images);
  const stem = stemOf(words, seed);
  for (let i = 1; ; i++) {
    const names = numbered(i === 1 ? `${stem}.png` : `${stem}-${i}.png`, images);
    if (!names.some((name) => existsSync(name))) return names;
  }
}

/** `a.png` alone, or `a-1.png`, `a-2.png` of a batch. */
export function numbered(file: string, images: number | undefined): string[] {
  if (images === undefined) return [file];
  const ending = extname(file);
  const stem = file.slice(0, file.length - ending.length);
  return Array.from({ length: images }, (_, i) => `${stem}-${i + 1}${ending}`);
}

function stemOf(words: string, seed: number): string {
  const joined = words
    .toLowerCase()
    .normalize("NFC")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
  return `${Array.from(joined).slice(0, 48).join("").replace(/-$/, "") || "picture"}-${seed}`;
}

/** Writes a picture as PNG with the request in its text chunks. */
export async function writePicture(file: string, picture: Picture, model: string): Promise<void> {
  const bytes = await pngOf(picture, model);
  try {
    await writeWhole(file, bytes);
  } catch (error) {
    throw new WebldmError(`${file}: could not be written: ${oneLine(error)}`);
  }
}

/** Part of a picture is none: where not all of it can be written, because the disk is full, the file goes again. */
export async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, "w");
  const isFile = (await handle.stat()).isFile();
  try {
    await handle.writeFile(bytes);
  } catch (error) {
    if (isFile) await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** A picture as PNG. The same picture gives the same bytes. */
export async function pngOf(picture: Picture, model: string): Promise<Uint8Array> {
  const { encode } = await optional("fast-png", () => import("fast-png"));
  const { width, height, pixels, prompt, negativePrompt, seed, noise, steps, guidance, eta, tuning } = picture;
  const data = new Uint8Array(width * height * 3); // the alpha is 255 everywhere
  for (let i = 0; i < width * height; i++) data.set(pixels.subarray(i * 4, i * 4 + 3), i * 3);
  const fields = { prompt, negativePrompt, seed, noise, steps, guidance, eta, model, tuning };
  const text = Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== "")
      .map(([name, value]) => [name, latin1(String(value))]),
  );
  return encode({ width, height, data, channels: 3, depth: 8, text: { Software: "webldm", ...text } });
}

/** PNG's plain text chunk holds Latin-1; other characters are written as in JSON. */
const latin1 = (text: string): string =>
  text.replace(/[^\n\x20-\x7e\xa1-\xff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
