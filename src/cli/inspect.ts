import { existsSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { invariant } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import { fromFile } from "../weights/node.js";
import { openSafetensors } from "../weights/safetensors.js";

interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

interface InspectedFile {
  readonly file: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly tensors: readonly InspectedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** `webldm inspect`: what a safetensors file, or every such file of a folder, holds. Reads headers only. */
export async function inspect(path: string, json: boolean): Promise<number> {
  invariant(existsSync(path), `${path}: expected a safetensors file or a folder, it does not exist`);
  const isFolder = statSync(path).isDirectory();
  const paths = isFolder ? await safetensorsBelow(path) : [path];
  invariant(paths.length > 0, `${path}: expected a folder with safetensors files, it holds none`);
  const files: InspectedFile[] = [];
  for (const file of paths) {
    files.push(await inspectFile(file, isFolder ? relative(path, file).split(sep).join("/") : file));
  }
  const totals = {
    files: files.length,
    tensors: files.reduce((sum, file) => sum + file.tensors.length, 0),
    parameters: files.reduce((sum, file) => sum + file.parameters, 0),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
  };
  const lines = json
    ? [JSON.stringify(isFolder ? { folder: path, files, totals } : files[0])]
    : text(files, totals, isFolder);
  process.stdout.write(`${lines.join("\n")}\n`);
  return 0;
}

async function inspectFile(path: string, file: string): Promise<InspectedFile> {
  const source = await fromFile(path);
  const { tensors, metadata } = await openSafetensors(source);
  const rows = [...tensors.values()].map(({ name, dtype, shape, begin, end }) => ({
    name,
    dtype,
    shape,
    bytes: end - begin,
  }));
  return {
    file,
    bytes: source.size,
    parameters: rows.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    tensors: rows,
    metadata: Object.fromEntries(metadata),
  };
}

type Totals = Readonly<Record<"files" | "tensors" | "parameters" | "bytes", number>>;

function text(files: readonly InspectedFile[], totals: Totals, isFolder: boolean): string[] {
  const lines = files.flatMap(({ file, tensors, metadata, parameters, bytes }) => {
    const width = Math.max(0, ...tensors.map(({ name }) => name.length));
    return [
      ...(isFolder ? [`${file}:`] : []),
      ...tensors.map(
        (t) => `${t.name.padEnd(width)}  ${t.dtype.padEnd(4)}  [${t.shape.join(", ")}]  ${count(t.bytes)} bytes`,
      ),
      ...Object.entries(metadata).map(([key, value]) => `metadata ${key}: ${value}`),
      `${count(tensors.length)} tensors, ${count(parameters)} parameters, ${count(bytes)} bytes`,
      "",
    ];
  });
  const sum = `${totals.files} files, ${count(totals.tensors)} tensors, ${count(totals.parameters)} parameters, ${count(totals.bytes)} bytes`;
  return isFolder ? [...lines, sum] : lines.slice(0, -1);
}

const count = (n: number): string => n.toLocaleString("en-US");

async function safetensorsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".safetensors"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
