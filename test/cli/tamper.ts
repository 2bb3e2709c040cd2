import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fromBytes } from "../../src/weights/byteSource.js";
import { openSafetensors } from "../../src/weights/safetensors.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { root } from "../harness/source.js";

export const golden = join(root, "test/golden");

/** Copies files or folders of the reference data. */
export function copyGolden(to: string, paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(golden, path), join(to, path), { recursive: true });
  }
}

/** Writes a safetensors file anew with one F32 tensor changed, or without it. */
export async function changeTensor(path: string, name: string, change: ((data: Float32Array) => void) | "remove") {
  const { tensors } = await openSafetensors(fromBytes(readFileSync(path), path));
  const out = await Promise.all(
    [...tensors.values()]
      .filter((tensor) => change !== "remove" || tensor.name !== name)
      .map(async ({ name: own, dtype, shape, source, begin, end }) => {
        const bytes = Uint8Array.from(await source.read(begin, end));
        if (own === name && change !== "remove") change(new Float32Array(bytes.buffer));
        return { name: own, dtype, shape, bytes };
      }),
  );
  writeFileSync(path, writeSafetensors(out));
}

/** Adds 1% of the largest absolute value to one element. */
export function nudge(data: Float32Array): void {
  const largest = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const at = Math.floor(data.length / 3);
  data[at] = data[at]! + 0.01 * largest;
}

/** Makes everything 2% larger. */
export const scale = (data: Float32Array): void => {
  for (let i = 0; i < data.length; i++) data[i]! *= 1.02;
};
