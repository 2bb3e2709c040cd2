// `npm run docs`: the site, in dist/site: README and guides, the reference of both entries, and a search over all of it.
// `--check` writes nothing. Anything undocumented, unexported or dangling fails either. Other options go to TypeDoc.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const typedoc = join(dirname(createRequire(import.meta.url).resolve("typedoc/package.json")), "bin", "typedoc");
const [first, ...rest] = process.argv.slice(2);
const args = first === "--check" ? ["--emit", "none", ...rest] : process.argv.slice(2);
const { status } = spawnSync(process.execPath, [typedoc, ...args], { cwd: root, stdio: "inherit" });
if (status === 0 && first !== "--check" && existsSync(join(root, "dist/site/index.html")))
  console.log("docs: dist/site/index.html");
process.exit(status ?? 1);
