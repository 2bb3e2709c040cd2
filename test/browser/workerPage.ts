// A page with the library and its worker, bundled from the sources, and models below /weights.
import { readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import { root } from "../harness/source.js";
import { sendRange, serve, type TestServer } from "../weights/server.js";

const types: Readonly<Record<string, string>> = { ".js": "text/javascript", ".json": "application/json" };

/** Bundles as the package has them, by name. */
async function bundles(): Promise<Map<string, Uint8Array>> {
  const common: BuildOptions & { write: false } = {
    bundle: true,
    format: "esm",
    target: "es2022",
    outdir: join(root, "dist"),
    write: false,
    plugins: [wgslPlugin()],
  };
  const made = await Promise.all([
    build({ ...common, entryPoints: ["src/index.ts", "src/worker.ts"], splitting: true }),
    build({ ...common, entryPoints: ["src/worker-entry.ts"] }),
  ]);
  const files = made.flatMap(({ outputFiles }) => outputFiles);
  return new Map(files.map(({ path, contents }) => [path.slice(join(root, "dist").length), contents]));
}

const html = `<!doctype html><title>webldm</title><script type="module">
  import * as library from "/lib/index.js";
  import * as worker from "/lib/worker.js";
  window.own = { lib: { ...library, ...worker } };
</script>`;

/** Pages at `/deep/in/page.html`, scripts at `/lib`, models at `/weights`. */
export async function workerPage(): Promise<TestServer & { readonly page: string }> {
  const scripts = await bundles();
  const server = await serve((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname);
    const headers = { "content-type": types[extname(path)] ?? "application/octet-stream" };
    const script = path.startsWith("/lib/") ? scripts.get(path.slice("/lib".length)) : undefined;
    if (script) return sendRange(request, response, script, headers);
    if (path.endsWith("/page.html")) {
      return void response.writeHead(200, { "content-type": "text/html" }).end(html);
    }
    const file = join(root, path);
    if (!path.startsWith("/weights/") || path.includes("..") || !statSync(file, { throwIfNoEntry: false })?.isFile()) {
      return void response.writeHead(404, { "content-type": "text/plain" }).end("not found");
    }
    sendRange(request, response, readFileSync(file), headers);
  });
  return { ...server, page: `${server.origin}/deep/in/page.html` };
}
