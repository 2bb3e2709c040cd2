import { createReadStream, existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, extname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { invariant, WebldmError } from "../core/invariant.js";

export interface ServeOptions {
  /** Tried first; when it is taken, the ones after it. 0: any free port. */
  readonly port?: number;
  /** `localhost` by default: only this machine reaches the page. */
  readonly host?: string;
  /** The folder that holds `dist/studio` and `weights`; the package's own by default. */
  readonly root?: string;
}

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

const portsTried = 20;

/** Content types by ending; other files are bytes. */
const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".map": "application/json",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".md": "text/plain; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Serves the page from `dist/studio` and models from `weights`, and nothing else of the folder. */
export async function serve(options: ServeOptions = {}): Promise<Served> {
  const { port = 8080, host = "localhost", root = packageRoot() } = options;
  const studio = join(root, "dist", "studio");
  invariant(Number.isInteger(port) && port >= 0 && port < 65536, () => `port: expected 0 to 65535, got ${port}`);
  invariant(existsSync(join(studio, "index.html")), () => `${studio}: the page is not built (npm run build)`);
  const server = createServer((request, response) => {
    respond(request, response, root).catch(() => response.destroy());
  });
  await listen(server, port, host);
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
  console.log(`webldm is at ${url}`);
  return {
    url,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  for (let candidate = port; ; candidate++) {
    try {
      await new Promise<void>((done, fail) => {
        server.once("error", fail);
        server.listen(candidate, host, () => {
          server.off("error", fail);
          done();
        });
      });
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const tried = candidate - port + 1;
      if (code === "EADDRINUSE" && tried < portsTried && candidate < 65535) continue;
      if (code === "EADDRINUSE") throw new WebldmError(`ports ${port} to ${candidate} are all taken`);
      if (code === "EACCES") throw new WebldmError(`port ${candidate}: this user may not listen there`);
      throw new WebldmError(`${host}:${candidate}: ${(error as Error).message}`);
    }
  }
}

async function respond(request: IncomingMessage, response: ServerResponse, root: string): Promise<void> {
  const { method = "GET" } = request;
  if (method !== "GET" && method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  const path = locate(request.url ?? "/", root);
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || !found?.isFile()) {
    response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("not found\n");
    return;
  }
  const etag = `"${found.size.toString(36)}-${Math.round(found.mtimeMs).toString(36)}"`;
  const headers: Record<string, string | number> = {
    "content-type": types[extname(path).toLowerCase()] ?? "application/octet-stream",
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    etag,
  };
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304, headers).end();
    return;
  }
  const condition = request.headers["if-range"];
  const range = condition && condition !== etag ? undefined : rangeOf(request.headers.range, found.size);
  if (range === "unsatisfiable") {
    response.writeHead(416, { ...headers, "content-range": `bytes */${found.size}` }).end();
    return;
  }
  const [first, last] = range ?? [0, found.size - 1];
  if (range) headers["content-range"] = `bytes ${first}-${last}/${found.size}`;
  headers["content-length"] = last - first + 1;
  response.writeHead(range ? 206 : 200, headers);
  if (method === "HEAD" || last < first) response.end();
  else await pipeline(createReadStream(path, { start: first, end: last }), response);
}

/** The file behind an address; undefined where nothing is served. */
export function locate(address: string, root: string): string | undefined {
  let parts: string[];
  try {
    parts = address
      .replace(/[?#].*$/s, "")
      .split("/")
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
  parts = parts.filter((part) => part !== "");
  if (parts.some((part) => part.startsWith(".") || /[/\\\0:]/.test(part))) return undefined;
  const base = resolve(root, ...(parts[0] === "weights" ? [] : ["dist", "studio"]));
  return join(base, ...(parts.length === 0 ? ["index.html"] : parts));
}

/** First and last byte of a `Range` header with one range; undefined: the whole file. */
export function rangeOf(header: string | undefined, size: number): [number, number] | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return undefined;
  const [, from = "", to = ""] = match;
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < Number(from)) return undefined;
  return first >= size || first > last ? "unsatisfiable" : [first, last];
}

/** The nearest folder above this file that has a package.json. */
function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  let folder = start;
  while (!existsSync(join(folder, "package.json"))) {
    invariant(folder !== dirname(folder), () => `${start}: no package.json above it`);
    folder = dirname(folder);
  }
  return folder;
}
