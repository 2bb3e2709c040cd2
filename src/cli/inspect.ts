import { existsSync, statSync } from "node:fs";
import { relative, sep } from "node:path";
import { invariant, WebldmError } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import { fromFile } from "../weights/node.js";
import { openWeights } from "../weights/openWeights.js";
import { filesBelow, isWeights } from "./modelFiles.js";

interface InspectedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

interface InspectedFile {
  readonly file: string;
  readonly format: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly tensors: readonly InspectedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * `webldm inspect`: what a file of weights (safetensors, or of torch.save), or every such file of a folder, holds. Reads
 * headers only, and runs nothing of what is in the file.
 */
export async function inspect(path: string, json: boolean): Promise<number> {
  invariant(existsSync(path), `${path}: expected a file of weights or a folder, it does not exist`);
  const isFolder = statSync(path).isDirectory();
  const paths = isFolder ? (await filesBelow(path)).filter(isWeights) : [path];
  invariant(paths.length > 0, `${path}: expected a folder with files of weights, it holds none`);
  const files: InspectedFile[] = [];
  const failed: { file: string; error: string }[] = [];
  for (const place of paths) {
    const file = isFolder ? relative(path, place).split(sep).join("/") : place;
    try {
      files.push(await inspectFile(place, file));
    } catch (error) {
      if (!isFolder || !(error instanceof WebldmError)) throw error;
      failed.push({ file, error: error.message }); // one bad file does not hide the others
    }
  }
  const totals = {
    files: files.length,
    tensors: files.reduce((sum, file) => sum + file.tensors.length, 0),
    parameters: files.reduce((sum, file) => sum + file.parameters, 0),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
  };
  const lines = json
    ? [JSON.stringify(isFolder ? { folder: path, files, failed, totals } : files[0])]
    : text(files, totals, isFolder);
  process.stdout.write(`${lines.join("\n")}\n`);
  for (const { error } of failed) process.stderr.write(`webldm: ${error}\n`);
  return failed.length > 0 ? 2 : 0;
}

async function inspectFile(path: string, file: string): Promise<InspectedFile> {
  const source = await fromFile(path);
  const { tensors, metadata, format } = await openWeights(source);
  const rows = [...tensors.values()].map(({ name, dtype, shape, begin, end }) => ({
    name,
    dtype,
    shape,
    bytes: end - begin,
  }));
  return {
    file,
    format,
    bytes: source.size,
    parameters: rows.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    tensors: rows,
    metadata: Object.fromEntries(metadata),
  };
}

type Totals = Readonly<Record<"files" | "tensors" | "parameters" | "bytes", number>>;

function text(files: readonly InspectedFile[], totals: Totals, isFolder: boolean): string[] {
  const lines = files.flatMap(({ file, format, tensors, metadata, parameters, bytes }) => {
    const width = Math.max(0, ...tensors.map(({ name }) => name.length));
    return [
      ...(isFolder ? [`${file}:`] : []),
      ...tensors.map(
        (t) => `${t.name.padEnd(width)}  ${t.dtype.padEnd(4)}  [${t.shape.join(", ")}]  ${count(t.bytes)} bytes`,
      ),
      ...Object.entries(metadata).map(([key, value]) => `metadata ${key}: ${value}`),
      `format: ${format}`,
      `${count(tensors.length)} tensors, ${count(parameters)} parameters, ${count(bytes)} bytes`,
      "",
    ];
  });
  const sum = `${totals.files} files, ${count(totals.tensors)} tensors, ${count(totals.parameters)} parameters, ${count(totals.bytes)} bytes`;
  return isFolder ? [...lines, sum] : lines.slice(0, -1);
}

const count = (n: number): string => n.toLocaleString("en-US");
