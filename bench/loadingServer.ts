import { existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { basename, dirname, resolve } from "node:path";
import sirv from "sirv";
import { invariant } from "../src/core/invariant.js";

/** A page with a script, and a model for it. */
export interface LoadingServer {
  readonly url: string;
  /** The model's address on it: a folder, or a file. */
  readonly model: string;
  /** Bytes sent so far, headers and the page itself included, and how many requests for the model were answered. */
  readonly sent: () => { readonly bytes: number; readonly answers: number };
  close(): Promise<void>;
}

const page = `<!doctype html><meta charset="utf-8"><title>loading</title><script type="module" src="/page.js"></script>\n`;

/**
 * Serves files in ranges, as static hosts do.
 * @param config the configuration of a single file, JSON
 */
export async function serveModel(model: string, script: string, config?: string): Promise<LoadingServer> {
  invariant(existsSync(model), `--model: expected a folder or a file, ${model} does not exist`);
  const isFolder = statSync(model).isDirectory();
  const options = { dev: true, etag: true };
  const files = sirv(isFolder ? model : dirname(resolve(model)), options);
  const vocabularies = sirv("weights/tokenizers", options);
  const sockets = new Set<Socket>();
  let answers = 0;
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    const missing = () => void response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
    const under = (prefix: string) => path.startsWith(`${prefix}/`);
    if (under("/model") || under("/tokenizers")) {
      const prefix = under("/model") ? "/model" : "/tokenizers";
      request.url = path.slice(prefix.length);
      if (prefix === "/tokenizers") return vocabularies(request, response, missing);
      answers++;
      files(request, response, missing);
    } else if (path === "/config.json" && config !== undefined) {
      response.writeHead(200, { "content-type": "application/json" }).end(config);
    } else if (path === "/page.js") {
      response.writeHead(200, { "content-type": "text/javascript; charset=utf-8" }).end(script);
    } else {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
    }
  });
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((done) => server.listen(0, "localhost", done));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    model: isFolder ? "/model" : `/model/${encodeURIComponent(basename(model))}`,
    sent: () => ({ bytes: [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0), answers }),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
