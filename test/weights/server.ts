import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  method: string;
  url: string;
  range: string | undefined;
}

export interface TestServer {
  /** `http://127.0.0.1:port` */
  readonly origin: string;
  /** The requests so far. */
  readonly asked: Asked[];
  close(): Promise<void>;
}

/** An HTTP server on this machine that hands every request to the handler. */
export async function serve(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<TestServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method ?? "", url: request.url ?? "", range: request.headers.range });
    handler(request, response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** Answers with a file as servers with ranges do. `headers` are added to every answer. */
export function sendRange(
  request: IncomingMessage,
  response: ServerResponse,
  file: Uint8Array,
  headers: Record<string, string> = {},
): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
  if (first === undefined || last === undefined) {
    response.writeHead(200, { "content-length": file.length, ...headers }).end(request.method === "HEAD" ? "" : file);
    return;
  }
  if (Number(first) >= file.length) {
    response.writeHead(416, { "content-range": `bytes */${file.length}`, ...headers }).end();
    return;
  }
  const end = Math.min(Number(last) + 1, file.length);
  response
    .writeHead(206, { "content-range": `bytes ${first}-${end - 1}/${file.length}`, ...headers })
    .end(file.subarray(Number(first), end));
}
