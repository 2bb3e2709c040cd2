import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { invariant, WebldmError } from "../core/invariant.js";
import { optional } from "./optional.js";
import { packageRoot } from "./packageRoot.js";

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

/** Serves the page from `dist/studio` and models from `weights`, and nothing else of the folder. */
export async function serve(options: ServeOptions = {}): Promise<Served> {
  const { port = 8080, host = "localhost", root = packageRoot() } = options;
  const studio = join(root, "dist", "studio");
  invariant(Number.isInteger(port) && port >= 0 && port < 65536, () => `port: expected 0 to 65535, got ${port}`);
  invariant(existsSync(join(studio, "index.html")), () => `${studio}: the page is not built (npm run build)`);
  const server = createServer(await handler(root));
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

/** The page at the root, models under `/weights`; files are looked up anew each time, so that a rebuilt page is served. */
async function handler(root: string): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
  const { default: sirv } = await optional("sirv", () => import("sirv"));
  const options = { dev: true, etag: true };
  const page = sirv(join(root, "dist", "studio"), options);
  const weights = sirv(join(root, "weights"), options);
  return (request, response) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
      return;
    }
    const missing = () => {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("not found\n");
    };
    response.setHeader("x-content-type-options", "nosniff");
    const inside = /^\/weights(?=\/)/;
    if (inside.test(request.url ?? "")) {
      request.url = request.url!.replace(inside, "");
      weights(request, response, missing);
    } else page(request, response, missing);
  };
}
