// The package as `npm pack` makes it, unpacked beside projects that use it.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { root } from "../harness/source.js";

const run = promisify(execFile);

export interface Packed {
  /** A folder whose `node_modules` has the package, and what tests link there. */
  readonly folder: string;
  /** Files of the tarball, relative to the package. */
  readonly files: readonly string[];
  /** A project of its own in that folder, from its files by path. */
  project(name: string, files: Readonly<Record<string, string>>): string;
  remove(): void;
}

/** What building and packing reads. Packing builds: in a copy, so that other tests' dist/ stays as it is. */
const sources = ["bin", "scripts", "shaders", "src", "weights/tokenizers"];
const plain = ["LICENSE", "README.md", "package.json", "tsconfig.json", "tsconfig.build.json", "weights/README.md"];

/** Builds, packs and unpacks. */
export async function pack(): Promise<Packed> {
  const folder = mkdtempSync(join(tmpdir(), "webldm-package-"));
  const copy = join(folder, "source");
  for (const path of [...sources, ...plain]) cpSync(join(root, path), join(copy, path), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
  await run("npm", ["pack", "--pack-destination", folder], { cwd: copy, shell: process.platform === "win32" });
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  if (!tarball) throw new Error("npm pack made no tarball");
  const unpacked = join(folder, "node_modules", "webldm");
  mkdirSync(unpacked, { recursive: true });
  await run("tar", ["-xzf", join(folder, tarball), "-C", unpacked, "--strip-components=1"]);
  return {
    folder,
    files: readdirSync(unpacked, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(unpacked, join(entry.parentPath, entry.name)).replaceAll("\\", "/")),
    project(name, files) {
      const project = join(folder, name);
      for (const [path, text] of Object.entries({ "package.json": '{ "type": "module" }', ...files })) {
        mkdirSync(dirname(join(project, path)), { recursive: true });
        writeFileSync(join(project, path), text);
      }
      return project;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Makes packages of this repository known to a folder's projects. */
export function link(folder: string, names: readonly string[]): void {
  for (const name of names) {
    const place = join(folder, "node_modules", name);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(join(root, "node_modules", name), place, "junction");
  }
}

/** The path of a package's command. */
export function command(name: string, path: string): string {
  return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), path);
}
