import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "../harness/source.js";

const parts = ["bin", "scripts", "shaders", "src", "weights/README.md", "weights/tokenizers"];
const files = ["package.json", "tsconfig.json", "tsconfig.build.json", "README.md", "LICENSE", "NOTICE"];

/**
 * The tarball that `npm publish` would send, built in a folder of its own: other tests use this repository's `dist`.
 * @returns its path
 */
export async function packed(folder: string): Promise<string> {
  const run = promisify(execFile);
  for (const path of [...parts, ...files]) {
    if (existsSync(join(root, path))) cpSync(join(root, path), join(folder, path), { recursive: true });
  }
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  await run(process.execPath, ["scripts/build.mjs"], { cwd: folder });
  await run("npm", ["pack", "--ignore-scripts", "--silent"], { cwd: folder });
  return join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz"))!);
}
