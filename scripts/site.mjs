// `npm run build:site`: the page with the embedded model as static files in dist/www, for any web host, also below a path.
//   npm run build:site [-- FOLDER]
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { studio } from "./studioPage.mjs";

const out = resolve(process.argv[2] ?? "dist/www");
// What is there is replaced, so it has to be an earlier build.
if (existsSync(out) && readdirSync(out).length > 0 && !existsSync(join(out, "sw.js"))) {
  console.error(`site: ${out} is not empty, and no earlier build of the page; choose another folder`);
  process.exit(1);
}
process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
await studio();
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
cpSync("dist/studio", out, { recursive: true, filter: (path) => !path.endsWith(".map") });
for (const folder of ["sticker", "tokenizers"])
  cpSync(`weights/${folder}`, `${out}/weights/${folder}`, { recursive: true });
console.log(`site: ${out}`);
